// The report of a step: where the time went, how near the floors it is, what it needs of memory. Pure arithmetic over a schedule and a
// trace; the same for predicted and measured ones.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "hardware_models/units.hpp"
#include "validation/experiment.hpp"
#include "validation/forecast.hpp"

namespace fabricast::validation {

/// Computation of one label; means over ranks.
struct OpSummary {
  std::string label, kind;
  double count = 0;                       // per rank
  Seconds busy;
  Flop flop;
  double bytes = 0;                       // device-memory traffic
};

/// Communication of one label; sums over a group's instances, averaged over groups.
struct CollectiveSummary {
  std::string label, kind, axis;
  double count = 0;                       // instances per group
  double bytes = 0;                       // S of the convention
  Seconds time, floor;
  double ratio_to_floor = 1.0;
  Seconds busy, exposed;                  // mean over ranks: in progress, and while the rank computes nothing
};

struct LinkSummary { double bytes = 0, mean_utilization = 0, max_utilization = 0; };  // bytes: all links of the kind
struct HotLink { std::string name; double utilization = 0; double bytes = 0; };

struct TimeSummary {                      // means over ranks; compute + exposed + idle = step
  Seconds compute_busy, communication_busy, communication_exposed, idle;
  Seconds waiting;                        // part of idle: ops that could run but for a peer that had not arrived
  double overlap_fraction = 0;            // 1 - exposed / busy communication; 0 without communication
};

struct MemorySummary {
  Bytes peak, capacity;
  bool fits = true;
  std::vector<std::pair<std::string, Bytes>> breakdown;   // of the fullest rank; sums to peak
};

struct Report {
  std::string experiment, source = "simulated", fidelity = "flow", phase = "forward";
  std::int64_t ranks = 0, nodes = 0, tokens_per_step = 0;
  Seconds step;
  double tokens_per_second = 0, tokens_per_second_per_gpu = 0, seconds_per_token = 0;
  Flop model_flop_per_step;
  double mfu = 0;
  TimeSummary time;
  std::vector<OpSummary> ops;             // in order of first appearance
  std::vector<CollectiveSummary> collectives;
  std::map<std::string, LinkSummary> links;
  std::vector<HotLink> hottest_links;
  MemorySummary memory;
  double expert_imbalance = 1.0, expert_variance = 0.0;   // max/mean and (standard deviation/mean)^2 of rows per expert, mean over layers
  Seconds compute_floor, network_floor;
  double step_over_floor = 1.0;
  std::uint64_t events = 0;
  double wall_seconds = 0;
};

[[nodiscard]] Report summarize(const Experiment& experiment, const Forecast& forecast, sim::Fidelity fidelity);

/// The JSON of schema "fabricast.report/1", ending in a newline. Deterministic but for engine.wall_seconds.
[[nodiscard]] std::string to_json(const Report& report);

}  // namespace fabricast::validation
