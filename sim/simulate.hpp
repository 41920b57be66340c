// When would it happen? Replays a schedule on a topology with a cost model. Knows no strategy: it sees ops, streams, edges and groups.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string_view>
#include <vector>

#include "hardware_models/topology.hpp"
#include "sim/cost_model.hpp"
#include "sim/link_rate.hpp"
#include "strategies/ir/instances.hpp"
#include "strategies/ir/schedule.hpp"
#include "strategies/ir/trace.hpp"

namespace fabricast::sim {

/// bound: each collective takes its byte floor plus latency. flow: max-min fair fluid flows on real routes, where flows that end at nearly
/// the same time may end together (FlowNetwork says how; a collective's time is held to 0.1 %, a flow's to 1 %). flow_exact: every end
/// where max-min fairness puts it.
enum class Fidelity : std::uint8_t { bound, flow, flow_exact };
[[nodiscard]] std::string_view name_of(Fidelity fidelity);   // "bound", "flow", "flow-exact"

struct SimulateOptions {
  Fidelity fidelity = Fidelity::flow;
  bool record_link_rates = false;          // fills SimulationResult::link_rates
  bool interference = true;                // communication kernels slow the computation beside them; never at `bound`
  bool fold = true;                        // simulate one of each class of ranks that are alike (folding.hpp): same result, less work
};

/// One collective instance as it ran.
struct InstanceInterval {
  SimTime start, end;                      // first member's start to last member's end
  Seconds floor;                           // byte floor
};

struct SimulationResult {
  ir::Trace trace;                         // ranks of a class share a row
  std::vector<InstanceInterval> instances; // by ir::InstanceId; with classes, one for all that are alike
  std::vector<std::vector<std::int32_t>> instance_of;   // with classes: by row of the trace and op, its place in `instances`
  std::vector<Bytes> link_bytes;           // payload carried, by LinkId
  std::vector<LinkRate> link_rates;        // in time order; with classes, of one link of each class
  std::vector<LinkId> rated_as;            // with classes: by LinkId, the link whose rates it has
  std::vector<SimTime> slowed_by;          // by Rank: what interference added to its computations
  std::uint64_t events = 0;
  std::size_t classes = 0;                 // of ranks that are alike, each simulated once; 0 where none are

  /// The instance in which the rank's op takes part.
  [[nodiscard]] const InstanceInterval& ran(const ir::Instances& all, Rank rank, ir::OpIndex op) const {
    return instances[instance_of.empty() ? all.at(rank, op).index() : static_cast<std::size_t>(instance_of[trace.row(rank)][op.index()])];
  }
};

/// The same with a row of the trace for each rank and an interval for each instance.
[[nodiscard]] SimulationResult of_each_rank(SimulationResult result, const ir::Instances& instances);

/// No op can run, yet some have not: what() lists the ranks with the op that each waits on.
class DeadlockError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A collective ended before its byte floor: a defect of this program, not of the input.
class PhysicsError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

/// A collective starts when all members have arrived and begins its first phase one base latency later; a phase's transfers enter the
/// network after their route's and the software's latency, and the next phase begins when all of them have ended. A member's op ends with
/// the last of its own transfers, in or out; without any, when the base latency has passed. A collective without transfers (one member, no
/// bytes) takes no time. Send and receive start together and end with their transfer. At `bound` fidelity all members end at base latency
/// + floor. Throws DeadlockError, PhysicsError, and std::overflow_error where a step takes 53 days or a link is faster than 70 TB/s or
/// slower than 1 kB/s.
/// With interference a member's communication kernel holds SMs of its GPU from its op's issue (it spins until the others arrive) to its op's
/// end, and memory bandwidth from the collective's start (kernel_loads.hpp); computation proceeds on what is left (gpu_sharing.hpp).
[[nodiscard]] SimulationResult simulate(const ir::Schedule& schedule, const ir::Instances& instances, const hw::Topology& topology,
                                        const CostModel& cost, const SimulateOptions& options);

}  // namespace fabricast::sim
