#include "sim/simulate.hpp"

#include <fmt/format.h>

#include <stdexcept>
#include <utility>

#include "sim/compute_times.hpp"
#include "sim/deadlock.hpp"
#include "sim/engine.hpp"
#include "sim/flow_network.hpp"
#include "sim/folding.hpp"
#include "sim/gpu_sharing.hpp"
#include "sim/meetings.hpp"
#include "sim/op_progress.hpp"
#include "sim/plan_cache.hpp"
#include "sim/program_graph.hpp"
#include "sim/rate.hpp"
#include "strategies/ir/validate.hpp"

namespace fabricast::sim {
namespace {

enum class Kind : std::uint32_t {
  computation_ended,  // rank, op
  phases_begin,       // instance
  launch,             // instance, place in its plan
  collective_ended,   // instance: all members at once
  network,            // the first of the flow network's own
};

// Thousands of flows that share it still get rates of many units.
constexpr BytesPerSecond slowest_link(1e3);

std::vector<BytesPerSecond> capacities(const hw::Topology& topology) {
  std::vector<BytesPerSecond> result;
  for (const hw::Link& link : topology.links()) {
    if (to_rate(link.bandwidth) == fastest_rate) {
      throw std::overflow_error(fmt::format("{} at {:.4g} TB/s is faster than rates can count (70 TB/s); lower its bandwidth", link.name,
                                            link.bandwidth.value() / 1e12));
    }
    if (link.bandwidth > BytesPerSecond(0) && link.bandwidth < slowest_link) {   // 0: failed, on no route
      throw std::overflow_error(fmt::format("{} at {:.4g} B/s is slower than rates can count (1 kB/s); raise its bandwidth or let it fail, 0",
                                            link.name, link.bandwidth.value()));
    }
    result.push_back(link.bandwidth);
  }
  return result;
}

FlowNetworkOptions network_options(const SimulateOptions& options) {
  return {options.fidelity == Fidelity::flow_exact ? exact_completions : patient_completions, options.record_link_rates};
}

std::vector<ProgramGraph> graphs_of(const ir::Schedule& schedule) {
  std::vector<ProgramGraph> graphs;
  for (const ir::Program& program : schedule.programs) graphs.emplace_back(program);
  return graphs;
}

/// A collective on its way.
struct Running {
  SharedPlan* shared = nullptr;         // from the first arrival to the end
  std::size_t first_member = 0;         // into Replay::transfers_left_
  std::int32_t arrived = 0, ended = 0;  // members
  std::int32_t phase = 0;
  std::int32_t in_phase = 0;            // transfers not yet ended
};

/// Which transfer of which collective a flow is.
FlowTag tag_of(std::uint32_t instance, std::int32_t transfer) {
  return std::uint64_t{instance} << 32 | static_cast<std::uint32_t>(transfer);
}

class Replay {
 public:
  /// Of `ranks` alone, each standing for its class where there is a folding; `meetings` are then the folded ones.
  Replay(const ir::Schedule& schedule, const Meetings& meetings, const hw::Topology& topology, const CostModel& cost,
         const SimulateOptions& options, std::vector<Rank> ranks, const Folding* folding)
      : schedule_(schedule), meetings_(meetings), fidelity_(options.fidelity),
        interferes_(options.interference && options.fidelity != Fidelity::bound), ranks_(std::move(ranks)), graphs_(graphs_of(schedule)),
        progress_(schedule, graphs_, ranks_), times_(schedule, cost, topology),
        sharing_(engine_, static_cast<std::uint32_t>(Kind::computation_ended), times_, schedule.ranks.size()),
        network_(engine_, static_cast<std::uint32_t>(Kind::network), capacities(topology), network_options(options)),
        plans_(schedule, topology, cost.collectives, network_, folding), running_(meetings.all.size()) {
    std::size_t members = 0;
    for (std::size_t i = 0; i < running_.size(); ++i) {
      running_[i].first_member = members;
      members += meetings.all[i].members.size();
    }
    transfers_left_.resize(members);
    result_.instances.resize(running_.size());
    result_.trace.ops.resize(schedule.ranks.size());
    for (const Rank rank : ranks_) result_.trace.ops[rank.index()].resize(schedule.program_of(rank).ops.size());
  }

  SimulationResult run() {
    issue_first_ops();
    engine_.run([this](const Event& event) { handle(event); });
    if (!progress_.all_ended()) throw DeadlockError(describe_deadlock(schedule_, meetings_, progress_));
    result_.link_bytes = plans_.link_bytes();
    result_.link_rates = network_.recorded_rates();
    for (std::size_t r = 0; r < schedule_.ranks.size(); ++r) {
      result_.slowed_by.push_back(sharing_.slowed_by(Rank{static_cast<std::int32_t>(r)}));
    }
    result_.events = engine_.events_run();
    return std::move(result_);
  }

 private:
  void handle(const Event& event) {
    if (network_.owns(event)) {
      for (const FlowTag tag : network_.handle(event)) {
        end_transfer(static_cast<std::uint32_t>(tag >> 32), static_cast<std::int32_t>(tag & 0xffffffff));
      }
      return;
    }
    switch (static_cast<Kind>(event.kind)) {
      case Kind::computation_ended:
        return end_computation(Rank{static_cast<std::int32_t>(event.subject)}, ir::OpIndex{static_cast<std::int32_t>(event.detail)});
      case Kind::phases_begin: return begin_phases(event.subject);
      case Kind::launch: return launch(event.subject, event.detail);
      case Kind::collective_ended: return end_all_members(event.subject);
      case Kind::network: return;  // owned by the network above
    }
  }

  void schedule(SimTime delay, Kind kind, std::uint32_t subject, std::uint32_t detail = 0) {
    engine_.schedule(engine_.now() + delay, {static_cast<std::uint32_t>(kind), subject, detail});
  }

  ir::OpInterval& interval(Rank rank, ir::OpIndex op) { return result_.trace.ops[rank.index()][op.index()]; }

  void issue_first_ops() {
    for (const Rank rank : ranks_) {
      const auto predecessors = graphs_[schedule_.ranks[rank.index()].program.index()].predecessors();
      for (std::size_t op = 0; op < predecessors.size(); ++op) {
        if (predecessors[op] == 0) issue(rank, ir::OpIndex{static_cast<std::int32_t>(op)});
      }
    }
  }

  void issue(Rank rank, ir::OpIndex op) {
    interval(rank, op).issued = engine_.now();
    if (ir::communicates(schedule_.program_of(rank).ops[op.index()].work)) {
      arrive(meetings_.at(rank, op), rank);
    } else {
      interval(rank, op).start = engine_.now();
      sharing_.start(rank, op);
    }
  }

  void end_computation(Rank rank, ir::OpIndex op) {
    if (sharing_.end(rank, op)) end_op(rank, op);
  }

  void end_op(Rank rank, ir::OpIndex op) {
    interval(rank, op).end = engine_.now();
    progress_.end(rank, op);
    for (const ir::OpIndex next : graphs_[schedule_.ranks[rank.index()].program.index()].dependents(op)) {
      if (progress_.release(rank, next)) issue(rank, next);
    }
  }

  void arrive(ir::InstanceId id, Rank rank) {
    Running& running = running_[id.index()];
    const auto& members = meetings_.all[id.index()].members;
    if (!running.shared) {
      const ir::InstanceMember first = members.front();
      running.shared = &plans_.acquire(first.rank, schedule_.program_of(first.rank).ops[first.op.index()]);
    }
    if (interferes_) sharing_.hold(rank, {running.shared->plan.loads.front().streaming_multiprocessors, {}});
    if (static_cast<std::size_t>(++running.arrived) == members.size()) begin(static_cast<std::uint32_t>(id.value));
  }

  void begin(std::uint32_t id) {
    const auto& members = meetings_.all[id].members;
    const SharedPlan& shared = *running_[id].shared;
    result_.instances[id] = {engine_.now(), engine_.now(), shared.plan.floor};
    for (const ir::InstanceMember member : members) interval(member.rank, member.op).start = engine_.now();
    for (std::size_t i = 0; interferes_ && i < members.size(); ++i) {
      sharing_.hold(members[i].rank, {0, shared.plan.loads[i].memory_bandwidth});
    }
    const SimTime latency = shared.plan.base_latency;
    if (shared.plan.transfers.empty()) {
      schedule(SimTime{}, Kind::collective_ended, id);
    } else if (fidelity_ == Fidelity::bound) {
      schedule(latency + countable_time(shared.plan.floor), Kind::collective_ended, id);
    } else {
      schedule(latency, Kind::phases_begin, id);
    }
  }

  void begin_phases(std::uint32_t id) {
    const auto& transfers_of = running_[id].shared->plan.transfers_of;
    begin_phase(id);
    for (std::size_t member = 0; member < transfers_of.size(); ++member) {
      transfers_left_[running_[id].first_member + member] = transfers_of[member];
    }
    for (std::size_t member = 0; member < transfers_of.size(); ++member) {
      if (transfers_of[member] == 0) end_member(id, member);
    }
  }

  void begin_phase(std::uint32_t id) {
    Running& running = running_[id];
    const CollectivePlan& plan = running.shared->plan;
    const PlannedPhase& phase = plan.phases[running.phase];
    running.in_phase = phase.transfers;
    for (std::int32_t launch = phase.first; launch < phase.last; ++launch) {
      schedule(plan.launches[launch].delay, Kind::launch, id, static_cast<std::uint32_t>(launch));
    }
  }

  void launch(std::uint32_t id, std::uint32_t place) {
    const CollectivePlan& plan = running_[id].shared->plan;
    for (std::int32_t i = plan.launches[place].first; i < plan.launches[place].last; ++i) {
      network_.start(plan.transfers[i].path, plan.transfers[i].wire, tag_of(id, i), id);
    }
  }

  void end_transfer(std::uint32_t id, std::int32_t transfer) {
    Running& running = running_[id];
    const CollectivePlan& plan = running.shared->plan;
    const PlannedTransfer ended = plan.transfers[transfer];
    if (--running.in_phase == 0 && ++running.phase < static_cast<std::int32_t>(plan.phases.size())) begin_phase(id);
    for (const std::int32_t member : {ended.source, ended.destination}) {
      if (!hw::is_switch(member) && --transfers_left_[running.first_member + member] == 0) end_member(id, static_cast<std::size_t>(member));
    }
  }

  void end_all_members(std::uint32_t id) {
    for (std::size_t member = 0; member < meetings_.all[id].members.size(); ++member) end_member(id, member);
  }

  void end_member(std::uint32_t id, std::size_t member) {
    const ir::InstanceMember ended = meetings_.all[id].members[member];
    if (interferes_) sharing_.release(ended.rank, running_[id].shared->plan.loads[member]);
    if (static_cast<std::size_t>(++running_[id].ended) == meetings_.all[id].members.size()) end_collective(id);
    end_op(ended.rank, ended.op);
  }

  void end_collective(std::uint32_t id) {
    InstanceInterval& ran = result_.instances[id];
    ran.end = engine_.now();
    plans_.release(*running_[id].shared);
    running_[id].shared = nullptr;
    // Times are rounded to whole picoseconds, and rates are equal to a part in 1e9 (fair_rates.cpp).
    const SimTime rounding = SimTime(1) + to_sim_time(ran.floor * 1e-9);
    if (ran.end - ran.start + rounding < to_sim_time(ran.floor)) throw PhysicsError(below_floor(id));
  }

  [[nodiscard]] std::string below_floor(std::uint32_t id) const {
    const InstanceInterval& ran = result_.instances[id];
    const ir::InstanceMember first = meetings_.all[id].members.front();
    return fmt::format("{}: simulated in {} ps, but its bytes need {} ps through the narrowest cut",
                       ir::describe(schedule_, first.rank, first.op), (ran.end - ran.start).value(), to_sim_time(ran.floor).value());
  }

  const ir::Schedule& schedule_;
  const Meetings& meetings_;
  Fidelity fidelity_;
  bool interferes_;
  std::vector<Rank> ranks_;
  std::vector<ProgramGraph> graphs_;
  OpProgress progress_;
  ComputeTimes times_;
  Engine engine_;
  GpuSharing sharing_;
  FlowNetwork network_;
  PlanCache plans_;
  std::vector<Running> running_;               // by instance
  std::vector<std::int32_t> transfers_left_;   // by instance and member
  SimulationResult result_;
};

/// What happened to representatives happened to all: their rows are those of their classes, and links have what their representatives have.
SimulationResult unfold(SimulationResult result, const Meetings& folded, const Folding& folding) {
  result.classes = folding.representatives.size();
  std::vector<std::vector<ir::OpInterval>> rows;
  for (const Rank rank : folding.representatives) {
    rows.push_back(std::move(result.trace.ops[rank.index()]));
    auto& instance_of = result.instance_of.emplace_back();
    for (const ir::InstanceId id : folded.of[rank.index()]) instance_of.push_back(id.value);
  }
  result.trace = {std::move(rows), folding.class_of_rank};
  for (std::size_t r = 0; r < folding.class_of_rank.size(); ++r) {
    result.slowed_by[r] = result.slowed_by[folding.representative(Rank{static_cast<std::int32_t>(r)}).index()];
  }
  for (std::size_t l = 0; l < folding.class_of_link.size(); ++l) {
    const LinkId representative = folding.link_classes[static_cast<std::size_t>(folding.class_of_link[l])].representative;
    result.link_bytes[l] = result.link_bytes[representative.index()];
    result.rated_as.push_back(representative);
  }
  return result;
}

}  // namespace

std::string_view name_of(Fidelity fidelity) {
  switch (fidelity) {
    case Fidelity::bound: return "bound";
    case Fidelity::flow: return "flow";
    case Fidelity::flow_exact: return "flow-exact";
  }
  throw std::invalid_argument("unknown fidelity");
}

SimulationResult of_each_rank(SimulationResult result, const ir::Instances& instances) {
  if (result.instance_of.empty()) return result;
  std::vector<InstanceInterval> intervals;
  for (const ir::Instance& instance : instances.all) {
    const ir::InstanceMember first = instance.members.front();
    intervals.push_back(result.ran(instances, first.rank, first.op));
  }
  result.instances = std::move(intervals);
  result.instance_of.clear();
  result.trace = ir::of_each_rank(std::move(result.trace));
  return result;
}

SimulationResult simulate(const ir::Schedule& schedule, const ir::Instances& instances, const hw::Topology& topology, const CostModel& cost,
                          const SimulateOptions& options) {
  const auto folding = options.fold ? fold(schedule, topology, cost.collectives, ComputeTimes(schedule, cost, topology)) : std::nullopt;
  if (folding) {
    const Meetings folded = fold_instances(schedule, instances, *folding);
    try {
      return unfold(Replay(schedule, folded, topology, cost, options, folding->representatives, &*folding).run(), folded, *folding);
    } catch (const DeadlockError&) {   // told of all ranks below
    }
  }
  std::vector<Rank> all;
  for (std::size_t r = 0; r < schedule.ranks.size(); ++r) all.push_back(Rank{static_cast<std::int32_t>(r)});
  return Replay(schedule, meetings_of(schedule, instances), topology, cost, options, std::move(all), nullptr).run();
}

}  // namespace fabricast::sim
