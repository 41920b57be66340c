#include "sim/least_step.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "hardware_models/byte_floor.hpp"
#include "sim/distinct_ops.hpp"
#include "sim/engine.hpp"
#include "strategies/ir/resolve.hpp"

namespace fabricast::sim {
namespace {

// What `flow` may be early by (FlowNetwork), and what rounding to picoseconds may take off an op.
constexpr double least_share_of_floor = 0.999;
constexpr SimTime one_tick{1};

using Numbers = std::vector<double>;

/// All that a byte floor asks of the places of a group's GPUs: equal numbers, equal floors for equal counts.
Numbers place_of(const std::vector<GpuId>& gpus, const hw::Topology& topology) {
  Numbers numbers;
  const auto add_apart = [&](auto name_of) {   // parts by the order in which they appear
    std::map<std::int32_t, double> names;
    for (const GpuId gpu : gpus) numbers.push_back(names.try_emplace(name_of(gpu), static_cast<double>(names.size())).first->second);
  };
  add_apart([&](GpuId gpu) { return topology.node_of(gpu).value; });
  for (const hw::CutLevel& level : topology.cut_levels()) {
    add_apart([&](GpuId gpu) { return level.part_of[gpu.index()]; });
    if (!level.port_of.empty()) add_apart([&](GpuId gpu) { return level.port_of[gpu.index()]; });
    for (const GpuId gpu : gpus) {
      if (!level.gpu_nvlink.empty()) numbers.push_back(level.gpu_nvlink[gpu.index()].value());
      if (!level.gpu_network.empty()) numbers.push_back(level.gpu_network[gpu.index()].value());
      if (!level.port_of.empty()) numbers.push_back(level.port_bandwidth[static_cast<std::size_t>(level.port_of[gpu.index()])].value());
    }
  }
  return numbers;
}

/// The kernel with fewer rows, rounded down.
struct FewerRows {
  double share;
  [[nodiscard]] std::int64_t of(std::int64_t rows) const { return static_cast<std::int64_t>(static_cast<double>(rows) * share); }

  hw::Kernel operator()(hw::Gemm<std::int64_t> k) const { return k.m = of(k.m), k; }
  hw::Kernel operator()(hw::GroupedGemm<hw::ExpertRowCounts> k) const {
    for (std::int64_t& rows : k.rows) rows = of(rows);
    return k;
  }
  hw::Kernel operator()(hw::Attention<std::int64_t> k) const { return k.sequences = of(k.sequences), k; }
  hw::Kernel operator()(hw::Embedding<std::int64_t> k) const { return k.tokens = of(k.tokens), k; }
  hw::Kernel operator()(hw::RmsNorm<std::int64_t> k) const { return k.rows = of(k.rows), k; }
  hw::Kernel operator()(hw::Rope<std::int64_t> k) const { return k.rows = of(k.rows), k; }
  hw::Kernel operator()(hw::ResidualAdd<std::int64_t> k) const { return k.rows = of(k.rows), k; }
  hw::Kernel operator()(hw::Activation<std::int64_t> k) const { return k.rows = of(k.rows), k; }
  hw::Kernel operator()(hw::Router<std::int64_t> k) const { return k.rows = of(k.rows), k; }
  hw::Kernel operator()(hw::Permute<std::int64_t> k) const { return k.rows = of(k.rows), k; }
  hw::Kernel operator()(hw::WeightedSum<std::int64_t> k) const { return k.tokens = of(k.tokens), k.rows = of(k.rows), k; }
};

/// The least time of each op of each program.
class LeastTimes {
 public:
  LeastTimes(const ir::Schedule& schedule, const ir::RankClasses& by_size, const hw::Topology& topology, const CostModel& cost,
             LeastStepOptions options)
      : schedule_(schedule), by_size_(by_size), topology_(topology), cost_(cost), options_(options), ranks_(schedule.programs.size()) {
    for (std::size_t r = 0; r < schedule.ranks.size(); ++r) {
      ranks_[schedule.ranks[r].program.index()].push_back(Rank{static_cast<std::int32_t>(r)});
    }
  }

  [[nodiscard]] std::vector<SimTime> of_program(std::size_t program) const {
    const ir::Program& ops = schedule_.programs[program];
    std::vector<SimTime> times(ops.ops.size());
    if (ranks_[program].empty()) return times;
    const std::vector<ir::OpIndex> first = first_alike(schedule_, ops);
    const std::vector<Rank> unlike = unlike_ranks(program);
    for (std::size_t i = 0; i < times.size(); ++i) {
      const ir::Op& op = ops.ops[i];
      if (first[i].index() != i) {
        times[i] = times[first[i].index()];
      } else if (!ir::communicates(op.work)) {
        times[i] = of_computation(op, unlike);
      } else if (options_.communication && !std::holds_alternative<ir::Recv>(op.work)) {
        times[i] = of_communication(op, ranks_[program]);
      }
    }
    return times;
  }

 private:
  /// One of each kind that computations may take different times on.
  [[nodiscard]] std::vector<Rank> unlike_ranks(std::size_t program) const {
    std::set<std::pair<std::size_t, std::int32_t>> seen;
    std::vector<Rank> unlike;
    for (const Rank rank : ranks_[program]) {
      if (seen.emplace(by_size_.at(rank), topology_.gpu_class(gpu_of(rank))).second) unlike.push_back(rank);
    }
    return unlike;
  }

  [[nodiscard]] GpuId gpu_of(Rank rank) const { return schedule_.ranks[rank.index()].gpu; }

  [[nodiscard]] SimTime of_computation(const ir::Op& op, const std::vector<Rank>& ranks) const {
    std::optional<SimTime> least;
    for (const Rank rank : ranks) {
      hw::Kernel kernel = ir::resolve_kernel(op.work, schedule_, rank).value();
      if (options_.routed_rows < 1.0 && ir::depends_on_rank(op.work)) kernel = std::visit(FewerRows{options_.routed_rows}, kernel);
      const SimTime time = countable_time(cost_.of_class(topology_.gpu_class(gpu_of(rank))).time(kernel));
      least = least ? std::min(*least, time) : time;
    }
    return *least > one_tick ? *least - one_tick : SimTime{};
  }

  [[nodiscard]] SimTime of_communication(const ir::Op& op, const std::vector<Rank>& ranks) const {
    std::set<std::pair<std::vector<std::size_t>, Numbers>> seen;   // sizes and places of members
    std::set<ir::GroupId> groups;
    std::optional<Seconds> least;
    const auto axis = ir::collective_axis(op.work);
    for (const Rank rank : ranks) {
      if (axis && !groups.insert(schedule_.ranks[rank.index()].groups[static_cast<std::size_t>(*axis)]).second) continue;
      const Rank first = axis ? schedule_.group_of(rank, *axis).members.front() : rank;
      if (schedule_.ranks[first.index()].program != schedule_.ranks[rank.index()].program) return {};
      if (!seen.insert(kind_of_members(axis ? schedule_.group_of(rank, *axis).members : ends_of(rank, op))).second) continue;
      const Seconds floor = floor_of(ir::resolve_collective(schedule_, first, op));
      least = least ? std::min(*least, floor) : floor;
    }
    const double routed = ir::depends_on_rank(op.work) ? options_.routed_rows : 1.0;
    const SimTime time = countable_time(*least * (least_share_of_floor * routed));
    return time > one_tick ? time - one_tick : SimTime{};
  }

  [[nodiscard]] std::vector<Rank> ends_of(Rank sender, const ir::Op& op) const {
    const auto& send = std::get<ir::Send>(op.work);
    return {sender, schedule_.group_of(sender, send.axis).members[static_cast<std::size_t>(send.peer)]};
  }

  [[nodiscard]] std::pair<std::vector<std::size_t>, Numbers> kind_of_members(const std::vector<Rank>& members) const {
    std::vector<std::size_t> sizes;
    std::vector<GpuId> gpus;
    for (const Rank rank : members) {
      sizes.push_back(by_size_.at(rank));
      gpus.push_back(gpu_of(rank));
    }
    return {std::move(sizes), place_of(gpus, topology_)};
  }

  [[nodiscard]] Seconds floor_of(const ir::ResolvedCollective& collective) const {
    std::vector<GpuId> gpus;
    for (const Rank rank : collective.members) gpus.push_back(gpu_of(rank));
    const Seconds floor = hw::byte_floor(collective.kind, gpus, collective.counts, topology_);
    if (collective.kind != hw::CollectiveKind::all_to_all || !options_.deduplicates) return floor;
    return std::min(floor, hw::token_exchange_floor(gpus, collective.counts, topology_, collective.tokens));
  }

  const ir::Schedule& schedule_;
  const ir::RankClasses& by_size_;
  const hw::Topology& topology_;
  const CostModel& cost_;
  LeastStepOptions options_;
  std::vector<std::vector<Rank>> ranks_;   // by program
};

/// An op of a program, whatever rank runs it.
struct ProgramOp {
  std::size_t program, op;
  friend bool operator==(const ProgramOp&, const ProgramOp&) = default;
};

/// The send that a receive waits for; nothing where ranks of the program wait for different ones.
std::optional<ProgramOp> sender_of(const ir::Schedule& schedule, const ir::Instances& instances, const std::vector<Rank>& ranks, std::size_t op) {
  std::optional<ProgramOp> sender;
  for (const Rank rank : ranks) {
    const ir::InstanceMember sends = instances.all[instances.at(rank, ir::OpIndex{static_cast<std::int32_t>(op)}).index()].members.front();
    const ProgramOp found{schedule.ranks[sends.rank.index()].program.index(), sends.op.index()};
    if (sender && *sender != found) return std::nullopt;
    sender = found;
  }
  return sender;
}

/// Ends of ops, each as early as its predecessors allow. Programs are worked through side by side, each until it needs a message.
class EarliestEnds {
 public:
  EarliestEnds(const ir::Schedule& schedule, const ir::Instances& instances, const LeastTimes& times) : schedule_(schedule) {
    std::vector<std::vector<Rank>> ranks(schedule.programs.size());
    for (std::size_t r = 0; r < schedule.ranks.size(); ++r) {
      ranks[schedule.ranks[r].program.index()].push_back(Rank{static_cast<std::int32_t>(r)});
    }
    for (std::size_t p = 0; p < schedule.programs.size(); ++p) {
      const ir::Program& program = schedule.programs[p];
      Progress progress{times.of_program(p), {}, {}, {}, std::vector<SimTime>(program.streams.size())};
      progress.sender.resize(program.ops.size());
      for (std::size_t i = 0; i < program.ops.size(); ++i) {
        if (std::holds_alternative<ir::Recv>(program.ops[i].work)) progress.sender[i] = sender_of(schedule, instances, ranks[p], i);
      }
      programs_.push_back(std::move(progress));
    }
  }

  [[nodiscard]] SimTime last() {
    for (bool moved = true; moved;) {
      moved = false;
      for (std::size_t p = 0; p < programs_.size(); ++p) moved |= advance(p);
    }
    SimTime last;
    for (const Progress& program : programs_) {
      for (const SimTime end : program.ends) last = std::max(last, end);
    }
    return last;
  }

 private:
  struct Progress {
    std::vector<SimTime> times;
    std::vector<std::optional<ProgramOp>> sender;   // by op: of receives
    std::vector<SimTime> ready, ends;               // of the ops so far
    std::vector<SimTime> stream_ends;
  };

  bool advance(std::size_t p) {
    Progress& progress = programs_[p];
    const std::vector<ir::Op>& ops = schedule_.programs[p].ops;
    const std::size_t begin = progress.ends.size();
    while (progress.ends.size() < ops.size()) {
      const std::size_t i = progress.ends.size();
      SimTime ready = progress.stream_ends[ops[i].stream.index()];
      for (const ir::OpIndex before : ops[i].after) ready = std::max(ready, progress.ends[before.index()]);
      SimTime end = ready + progress.times[i];
      if (const auto& sender = progress.sender[i]) {
        const Progress& other = programs_[sender->program];
        if (other.ends.size() <= sender->op) break;
        end = std::max(end, other.ready[sender->op] + other.times[sender->op]);
      }
      progress.ready.push_back(ready);
      progress.ends.push_back(end);
      progress.stream_ends[ops[i].stream.index()] = end;
    }
    return progress.ends.size() > begin;
  }

  const ir::Schedule& schedule_;
  std::vector<Progress> programs_;
};

/// Ends of ops by streams and edges alone.
std::vector<SimTime> ends_alone(const ir::Program& program, const std::vector<SimTime>& times) {
  std::vector<SimTime> stream_ends(program.streams.size()), ends;
  for (std::size_t i = 0; i < program.ops.size(); ++i) {
    SimTime& stream_end = stream_ends[program.ops[i].stream.index()];
    for (const ir::OpIndex before : program.ops[i].after) stream_end = std::max(stream_end, ends[before.index()]);
    ends.push_back(stream_end += times[i]);
  }
  return ends;
}

}  // namespace

std::vector<SimTime> least_chains(const ir::Schedule& schedule, const ir::RankClasses& by_size, const hw::Topology& topology, const CostModel& cost,
                                  LeastStepOptions options, const std::function<bool(const ir::Op&)>& counted) {
  const LeastTimes least(schedule, by_size, topology, cost, options);
  std::vector<SimTime> chains;
  for (std::size_t p = 0; p < schedule.programs.size(); ++p) {
    const ir::Program& program = schedule.programs[p];
    std::vector<SimTime> times = least.of_program(p);
    for (std::size_t i = 0; i < times.size(); ++i) {
      if (std::holds_alternative<ir::Send>(program.ops[i].work) || !counted(program.ops[i])) times[i] = SimTime{};
    }
    const std::vector<SimTime> ends = ends_alone(program, times);
    chains.emplace_back();
    for (std::size_t i = 0; i < ends.size(); ++i) {
      if (!ir::communicates(program.ops[i].work)) chains.back() = ends[i];
    }
  }
  return chains;
}

SimTime least_step(const ir::Schedule& schedule, const ir::Instances& instances, const ir::RankClasses& by_size, const hw::Topology& topology,
                   const CostModel& cost, LeastStepOptions options) {
  const LeastTimes times(schedule, by_size, topology, cost, options);
  return EarliestEnds(schedule, instances, times).last();
}

}  // namespace fabricast::sim
