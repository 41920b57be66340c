// The report of a step: where the time went, how near the floors it is, what it needs of memory. Pure arithmetic over a schedule and a
// trace; the same for predicted and measured ones.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "hardware_models/units.hpp"
#include "runtime/executor.hpp"
#include "runtime/numerics.hpp"
#include "validation/experiment.hpp"
#include "validation/forecast.hpp"

namespace fabricast::validation {

/// What a measurement of the same lies between in four of five cases, by the residuals of the profile (error_bars.hpp).
struct ErrorBar {
  Seconds low, high;
  std::string calibrated_as;              // kind of measurement that says so
  std::vector<std::string> outside;       // where the work leaves what was measured: extrapolated. Empty: inside
  std::optional<double> coverage{};       // of rows left out of the fit, how many lay between: 0.8 were the bar right; nothing where none were
};

struct StepErrorBar {
  Seconds low, high;
  double known_share = 0;                 // of the critical path's time: that of classes whose error is known; the others count as exact
  std::vector<std::string> unknown, extrapolated;   // labels of classes on the path
};

/// Computation of one label; means over ranks.
struct OpSummary {
  std::string label, kind;
  double count = 0;                       // per rank
  Seconds busy;
  Flop flop;
  double bytes = 0;                       // device-memory traffic
  std::optional<ErrorBar> error_bar{};    // of busy
  std::optional<runtime::Spread> each{};  // measured: of one op, over ranks, ops and timed steps
};

/// Communication of one label; sums over a group's instances, averaged over groups.
struct CollectiveSummary {
  std::string label, kind, axis;
  double count = 0;                       // instances per group
  double members = 0;                     // ranks per instance
  double bytes = 0;                       // S of the convention
  Seconds time, floor;
  double ratio_to_floor = 1.0;            // 1 where the floor is 0
  BytesPerSecond algorithm_bandwidth, bus_bandwidth;   // as nccl-tests defines them: bytes / time, and that times its bus factor
  Seconds busy, exposed;                  // mean over ranks: in progress, and while the rank computes nothing; where several collectives
                                          // are exposed at once each takes an equal share
  std::optional<ErrorBar> error_bar{};    // of busy
  std::optional<runtime::Spread> each{};  // measured: of one member's op, over ranks, ops and timed steps
};

struct LinkSummary {
  double bytes = 0;                       // payload over all links of the kind
  double mean_utilization = 0, max_utilization = 0;   // bytes / (bandwidth · step); above 1 at `bound` fidelity alone, where no route that
                                                      // the flows would take can reach the bound
};
struct HotLink { std::string name; double utilization = 0; double bytes = 0; };

struct TimeSummary {                      // means over ranks; compute + exposed + idle = step
  Seconds compute_busy, communication_busy, communication_exposed, idle;
  Seconds waiting;                        // part of idle: ops that could run but for a peer that had not arrived
  double overlap_fraction = 0;            // 1 - exposed / busy communication; 0 without communication
  Seconds interference;                   // part of compute_busy: what computations took longer because communication ran beside them
};

struct MemorySummary {
  using Breakdown = std::vector<std::pair<std::string, Bytes>>;
  Rank fullest;                           // the rank that all of this describes
  Bytes peak, capacity;
  bool fits = true;
  Breakdown breakdown;                    // sums to peak: what is alive when most is, fragmentation, and the cluster's reserve
  Breakdown parameters_by_kind;           // sums to the breakdown's "parameters"
};

/// Tokens that the ranks of a MoE layer compute: max/mean and (standard deviation/mean)^2 over the ranks of the layer's stage, mean over
/// layers. 1 and 0 where nothing is routed.
struct ExpertLoad { double imbalance = 1.0, variance = 0.0; };

struct Floors {
  Seconds compute;                        // the busiest rank's FLOP at dense peak
  Seconds roofline;                       // the same, each kernel held by memory bandwidth too
  Seconds network;                        // the busiest link's payload at its bandwidth; at `bound` fidelity, which has no routes, the
                                          // longest sum of byte floors on one stream of a rank
  double step_over_floor = 1.0;           // step over the largest of them
};

/// What the step's end waited for, op after op, by class (critical_path.hpp); all of it sums to the step.
struct CriticalPathSummary {
  struct Class {
    std::string label, kind;
    std::int64_t ops = 0;
    Seconds time;
  };
  Seconds computation, communication, waiting;
  std::vector<Class> classes;             // those on the path: computation, then communication, in order of first appearance
};

/// What one knob of the hardware does to throughput with the schedule fixed (sensitivity.hpp).
struct KnobEffect {
  std::string knob;
  double change = 0;                      // the better way, relative: 0.1 is 10 % more, -0.1 is 10 % less
  double gain = 0, loss = 0;              // relative change of throughput where the knob is better, and as much worse
  double elasticity = 0;                  // d ln(throughput) / d ln(knob), by central difference
};

/// Of an execution.
struct MeasuredFacts {
  std::string backend;
  runtime::Machine machine;
  std::uint64_t seed = 1;
  std::int64_t warm_up_steps = 0, timed_steps = 0;
  runtime::Spread step;
  std::optional<runtime::Numerics> numerics;
};

struct Report {
  std::string experiment, source = "simulated", fidelity = "flow", phase = "forward";
  std::int64_t ranks = 0, nodes = 0, tokens_per_step = 0;
  Seconds step;
  std::optional<StepErrorBar> error_bar;  // of forecasts by profiles with a calibration record
  double tokens_per_second = 0, tokens_per_second_per_gpu = 0, seconds_per_token = 0;
  Flop model_flop_per_step;
  FlopPerSecond peak;                     // of one GPU, dense, in the model's precision
  double mfu = 0;
  TimeSummary time;
  std::vector<OpSummary> ops;             // in order of first appearance
  std::vector<CollectiveSummary> collectives;
  std::map<std::string, LinkSummary> links;
  std::vector<HotLink> hottest_links;     // the busiest first
  MemorySummary memory;
  ExpertLoad expert_load;
  Floors floors;
  CriticalPathSummary critical_path;
  std::vector<KnobEffect> sensitivity;    // empty unless asked for; the largest gain first
  std::uint64_t events = 0;
  std::size_t classes = 0;                // of ranks that are alike, each simulated once (sim/folding.hpp); 0 where every rank was
  double wall_seconds = 0;
  std::optional<MeasuredFacts> measured;  // absent in forecasts
};

/// 0 where the whole is 0.
[[nodiscard]] constexpr double share_of(Seconds part, Seconds whole) { return whole > Seconds(0) ? part / whole : 0; }

[[nodiscard]] Report summarize(const Experiment& experiment, const Forecast& forecast, sim::Fidelity fidelity);

/// The JSON of schema "fabricast.report/1", ending in a newline. Deterministic but for engine.wall_seconds.
[[nodiscard]] std::string to_json(const Report& report);

}  // namespace fabricast::validation
