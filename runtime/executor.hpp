// The seam between a schedule and what executes it: options in, measured traces out. Knows no strategy, no cost model, no topology and no
// device. host_executor.hpp is the executor that runs everywhere; execute.hpp adds the check of the numbers.
#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "hardware_models/units.hpp"
#include "runtime/machine.hpp"
#include "strategies/ir/instances.hpp"
#include "strategies/ir/schedule.hpp"
#include "strategies/ir/trace.hpp"

namespace fabricast::runtime {

struct RunOptions {
  std::uint64_t seed = 1;              // of weights and tokens
  std::int32_t warm_up_steps = 2;
  std::int32_t timed_steps = 5;
  Seconds stall_timeout{8};            // so long no op ends and none computes: the run is given up
  bool keep_logits = true;             // runs one step more before and one after the others, from which logits are kept
  std::vector<NodeId> node_of;         // by rank: the server that it stands for, which a hierarchical all-to-all goes by; empty: one for all
};

/// Of a number of repetitions, by nearest rank.
struct Spread {
  Seconds p10, median, p90;
};

/// Logits of one micro-batch on one rank: its replica's tokens (or last tokens), its share of the vocabulary.
struct LogitsShard {
  Rank rank;
  std::int32_t micro_batch = 0;
  std::int64_t rows = 0, columns = 0;
  std::vector<float> values;           // [rows, columns]
};

/// Times are counted from when the last rank was ready to start the step, on one steady clock.
struct MeasuredRun {
  Machine machine;
  std::vector<ir::Trace> steps;                        // the timed ones
  Spread step_length;                                  // from 0 to the last op's end
  std::vector<std::vector<Spread>> ops;                // [rank][op]: end - start
  ir::Instances instances;
  std::vector<Bytes> moved;                            // by InstanceId: what its members copied from each other in one step
  std::vector<Bytes> arena;                            // by rank: memory allocated for buffers
  std::vector<LogitsShard> logits;                     // by rank, then micro-batch
  bool logits_repeat = false;                          // the last step computed the same bits as the first

  /// The timed step of median length (the lower one of two): the trace to report.
  [[nodiscard]] const ir::Trace& median_step() const;
};

/// The run ended early. The message names rank and op where there is one to name.
class ExecutionError : public std::runtime_error {
 public:
  struct Place {
    Rank rank;
    ir::OpIndex op;
  };
  explicit ExecutionError(const std::string& message, std::optional<Place> place = {}) : std::runtime_error(message), place_(place) {}
  [[nodiscard]] const std::optional<Place>& place() const { return place_; }

 private:
  std::optional<Place> place_;
};

/// This backend cannot run this schedule on this machine; the message says what would.
class BackendUnavailable : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class Executor {
 public:
  virtual ~Executor() = default;
  /// Throws BackendUnavailable, ir::ScheduleError where members do not match, ExecutionError. Afterwards nothing of the run is left behind.
  [[nodiscard]] virtual MeasuredRun run(const ir::Schedule& schedule, const RunOptions& options) = 0;
};

}  // namespace fabricast::runtime
