#include "sim/folding.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <span>
#include <utility>

#include "sim/collective_plan.hpp"
#include "sim/distinct_ops.hpp"
#include "strategies/ir/resolve.hpp"

namespace fabricast::sim {
namespace {

using Colour = std::uint64_t;

// SplitMix64's finalizer: every bit of the argument reaches every bit of the result.
Colour mixed(Colour value) {
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
  return value ^ (value >> 31);
}
/// Depends on the order of the arguments. Sums of colours do not depend on that of their terms.
Colour combined(Colour a, Colour b) { return mixed(a * 0x9e3779b97f4a7c15u + mixed(b)); }

Colour load_colour(const hw::GpuLoad& load) {
  return combined(static_cast<Colour>(load.streaming_multiprocessors), static_cast<Colour>(load.memory_bandwidth.value()));
}

struct UsedTransfer {
  std::int32_t source, destination;             // members, or switches
  Colour kind = 0;                              // phase, delay, bytes
  friend auto operator<=>(const UsedTransfer&, const UsedTransfer&) = default;
};
/// What happens between the members of one group when they run one of their collectives: transfers, or an exchange.
struct Use {
  std::vector<Rank> members;
  std::vector<Colour> loads;                    // by member: what its kernel holds of its GPU
  Colour kind = 0;
  const std::vector<UsedTransfer>* transfers;   // most groups do the same, so these are kept once
  std::optional<BlockExchange> exchange = {};
};

class Refinement {
 public:
  Refinement(const ir::Schedule& schedule, const hw::Topology& topology, const hw::CollectiveModel& model, const ComputeTimes& times)
      : schedule_(schedule), topology_(topology), model_(model),
        rank_colours_(schedule.ranks.size()), link_colours_(topology.links().size()) {
    for (const ir::Program& program : schedule.programs) distinct_.push_back(distinct_ops(schedule, program));
    colour_ranks(times);
    for (std::size_t link = 0; link < link_colours_.size(); ++link) {
      link_colours_[link] = mixed(static_cast<Colour>(to_rate(topology.links()[link].bandwidth).value()));
    }
  }

  [[nodiscard]] std::optional<Folding> run() {
    collect_uses();
    for (std::size_t classes = 0, before = 1; classes != before;) {
      before = classes;
      refine();
      classes = distinct(rank_colours_) + distinct(link_colours_);
    }
    Folding folding = classes_of_ranks();
    if (folding.representatives.size() == schedule_.ranks.size()) return std::nullopt;
    add_classes_of_links(folding);
    return folding;
  }

 private:
  void colour_ranks(const ComputeTimes& times) {
    for (std::size_t r = 0; r < rank_colours_.size(); ++r) {
      const Rank rank{static_cast<std::int32_t>(r)};
      const auto program = schedule_.ranks[r].program;
      Colour colour = combined(static_cast<Colour>(program.value), static_cast<Colour>(topology_.gpu_class(schedule_.ranks[r].gpu)));
      for (const ir::OpIndex op : distinct_[program.index()]) {
        const ir::Work& work = schedule_.programs[program.index()].ops[op.index()].work;
        if (!ir::communicates(work)) colour = combined(colour, static_cast<Colour>(times.of(rank, op).value()));
      }
      rank_colours_[r] = colour;
    }
  }

  /// A collective is met at its first member, a message at its sender.
  [[nodiscard]] bool is_met_at(Rank rank, const ir::Work& work) const {
    if (const auto* collective = std::get_if<ir::Collective>(&work)) return schedule_.member_of(rank, collective->axis) == 0;
    if (std::holds_alternative<ir::AllToAll>(work)) return schedule_.member_of(rank, ir::Axis::expert) == 0;
    return std::holds_alternative<ir::Send>(work);
  }

  void collect_uses() {
    for (std::size_t r = 0; r < schedule_.ranks.size(); ++r) {
      const Rank rank{static_cast<std::int32_t>(r)};
      const auto program = schedule_.ranks[r].program;
      for (const ir::OpIndex op : distinct_[program.index()]) {
        const ir::Work& work = schedule_.programs[program.index()].ops[op.index()].work;
        if (!is_met_at(rank, work)) continue;
        collect(ir::resolve_briefly(schedule_, rank, schedule_.program_of(rank).ops[op.index()]), static_cast<Colour>(op.value));
      }
    }
  }

  void collect(ir::ResolvedCollective collective, Colour op) {
    Use use{collective.members, {}, op, nullptr};
    CollectivePlan plan = plan_collective(request_for(std::move(collective), schedule_), topology_, model_);
    use.kind = combined(use.kind, static_cast<Colour>(plan.base_latency.value()));
    use.kind = combined(use.kind, static_cast<Colour>(to_sim_time(plan.floor).value()));
    for (const hw::GpuLoad& load : plan.loads) use.loads.push_back(load_colour(load));
    std::vector<UsedTransfer> transfers;
    transfers.reserve(plan.transfers.size());
    for (std::size_t phase = 0; phase < plan.phases.size(); ++phase) {
      for (std::int32_t l = plan.phases[phase].first; l < plan.phases[phase].last; ++l) {
        for (std::int32_t t = plan.launches[l].first; t < plan.launches[l].last; ++t) {
          const PlannedTransfer& transfer = plan.transfers[t];
          transfers.push_back(
              {transfer.source, transfer.destination, kind_of(use, phase, plan.launches[l].delay, transfer.payload, transfer.wire)});
        }
      }
    }
    use.transfers = &*transfers_.insert(std::move(transfers)).first;
    use.exchange = std::move(plan.exchange);
    uses_.push_back(std::move(use));
  }

  static Colour kind_of(const Use& use, std::size_t phase, SimTime delay, Bytes payload, Bytes wire) {
    const Colour launch = combined(combined(use.kind, phase), static_cast<Colour>(delay.value()));
    return combined(launch, combined(static_cast<Colour>(payload.value()), static_cast<Colour>(wire.value())));
  }

  static Rank end_of(const Use& use, std::int32_t end) { return hw::is_switch(end) ? Rank{end} : use.members[end]; }

  // Switches of a place are told apart by the links on the way alone: they do nothing but pass on.
  [[nodiscard]] Colour colour_of(Rank end) const {
    return hw::is_switch(end.value) ? mixed(static_cast<Colour>(end.value)) : rank_colours_[end.index()];
  }
  [[nodiscard]] GpuId gpu_at(Rank end) const { return hw::is_switch(end.value) ? GpuId{end.value} : schedule_.ranks[end.index()].gpu; }
  void add_to(Rank end, Colour colour) {
    if (!hw::is_switch(end.value)) rank_sums_[end.index()] += mixed(colour);
  }

  void refine() {
    rank_sums_.assign(rank_colours_.size(), 0);
    link_sums_.assign(link_colours_.size(), 0);
    for (const Use& use : uses_) {
      Colour group = use.kind;
      for (const Rank member : use.members) group += mixed(rank_colours_[member.index()]);
      group = mixed(group);
      for (std::size_t i = 0; i < use.members.size(); ++i) rank_sums_[use.members[i].index()] += combined(group, use.loads[i]);
      for (const UsedTransfer& transfer : *use.transfers) add(use, transfer, group);
      if (use.exchange) add_exchange(use, group);
    }
    for (std::size_t r = 0; r < rank_colours_.size(); ++r) rank_colours_[r] = combined(rank_colours_[r], rank_sums_[r]);
    for (std::size_t l = 0; l < link_colours_.size(); ++l) link_colours_[l] = combined(link_colours_[l], link_sums_[l]);
  }

  [[nodiscard]] Colour colour_of(Colour kind, Rank source, Rank destination, const hw::Route& route) const {
    Colour colour = combined(kind, colour_of(source));
    colour = combined(colour, colour_of(destination));
    for (const LinkId link : route.links()) colour = combined(colour, link_colours_[link.index()]);
    return colour;
  }

  void add(const Use& use, const UsedTransfer& transfer, Colour group) {
    const Rank source = end_of(use, transfer.source), destination = end_of(use, transfer.destination);
    const hw::Route route = route_between(gpu_at(source), gpu_at(destination), topology_);
    const Colour colour = colour_of(combined(transfer.kind, group), source, destination, route);
    add_to(source, colour + 1);
    add_to(destination, colour + 2);
    for (std::size_t i = 0; i < route.links().size(); ++i) link_sums_[route.links()[i].index()] += mixed(colour + 3 + i);
  }

  /// As add() does for each of its transfers.
  void add_exchange(const Use& use, Colour group) {
    const BlockExchange& exchange = *use.exchange;
    const auto colours_of = [&](std::int32_t member, std::span<const LinkId> own_links) {
      EndKind colours{rank_colours_[use.members[member].index()]};
      std::transform(own_links.begin(), own_links.end(), colours.begin() + 1, [&](LinkId link) { return link_colours_[link.index()]; });
      return colours;
    };
    exchange.for_each_block(colours_of, [&](const TransferBlock& block) {
      const Rank source = use.members[block.source], destination = use.members[block.destination];
      const Colour kind = kind_of(use, 0, block.delay, block.payload, block.wire);
      add_block(use, block, colour_of(combined(kind, group), source, destination, block.route));
    });
  }

  void add_block(const Use& use, const TransferBlock& block, Colour colour) {
    const auto links = block.route.links();
    const std::size_t own = use.exchange->links_out(block.source, block.crosses_nodes).size(), last = links.size() - own;
    const auto add_end = [&](std::int32_t member, std::int32_t times, Colour end, std::span<const LinkId> own_links, std::size_t first) {
      rank_sums_[use.members[member].index()] += static_cast<Colour>(times) * mixed(colour + end);
      for (std::size_t k = 0; k < own; ++k) link_sums_[own_links[k].index()] += static_cast<Colour>(times) * mixed(colour + 3 + first + k);
    };
    for (std::size_t i = 0; i < block.sources.size(); ++i) {
      add_end(block.sources[i], block.sent[i], 1, use.exchange->links_out(block.sources[i], block.crosses_nodes), 0);
    }
    for (std::size_t i = 0; i < block.destinations.size(); ++i) {
      add_end(block.destinations[i], block.received[i], 2, use.exchange->links_in(block.destinations[i], block.crosses_nodes), last);
    }
    for (std::size_t k = own; k < last; ++k) link_sums_[links[k].index()] += static_cast<Colour>(block.transfers) * mixed(colour + 3 + k);
  }

  [[nodiscard]] std::size_t distinct(std::span<const Colour> colours) {
    sorted_.assign(colours.begin(), colours.end());
    std::sort(sorted_.begin(), sorted_.end());
    return static_cast<std::size_t>(std::unique(sorted_.begin(), sorted_.end()) - sorted_.begin());
  }

  [[nodiscard]] Folding classes_of_ranks() const {
    Folding folding;
    std::map<Colour, std::int32_t> classes;
    for (std::size_t r = 0; r < rank_colours_.size(); ++r) {
      const auto [it, is_new] = classes.try_emplace(rank_colours_[r], static_cast<std::int32_t>(classes.size()));
      if (is_new) {
        folding.representatives.push_back(Rank{static_cast<std::int32_t>(r)});
        folding.sizes.push_back(0);
      }
      ++folding.sizes[static_cast<std::size_t>(it->second)];
      folding.class_of_rank.push_back(it->second);
    }
    return folding;
  }

  void add_classes_of_links(Folding& folding) const {
    std::map<Colour, std::int32_t> classes;
    for (std::size_t l = 0; l < link_colours_.size(); ++l) {
      const auto [it, is_new] = classes.try_emplace(link_colours_[l], static_cast<std::int32_t>(classes.size()));
      if (is_new) folding.link_classes.push_back({LinkId{static_cast<std::int32_t>(l)}, 0});
      ++folding.link_classes[static_cast<std::size_t>(it->second)].size;
      folding.class_of_link.push_back(it->second);
    }
  }

  const ir::Schedule& schedule_;
  const hw::Topology& topology_;
  const hw::CollectiveModel& model_;
  std::vector<std::vector<ir::OpIndex>> distinct_;   // by program
  std::vector<Use> uses_;
  std::set<std::vector<UsedTransfer>> transfers_;
  std::vector<Colour> rank_colours_, link_colours_, rank_sums_, link_sums_, sorted_;
};

}  // namespace

std::optional<Folding> fold(const ir::Schedule& schedule, const hw::Topology& topology, const hw::CollectiveModel& model,
                            const ComputeTimes& times) {
  if (schedule.ranks.size() < 2 || (!schedule.routing.empty() && !schedule.routing.is_uniform())) return std::nullopt;
  return Refinement(schedule, topology, model, times).run();
}

Meetings fold_instances(const ir::Schedule& schedule, const ir::Instances& instances, const Folding& folding) {
  constexpr ir::InstanceId none{-1};
  Meetings folded;
  folded.of.resize(schedule.ranks.size());
  for (const Rank rank : folding.representatives) folded.of[rank.index()].assign(schedule.program_of(rank).ops.size(), none);
  for (const Rank rank : folding.representatives) {
    for (std::size_t i = 0; i < folded.of[rank.index()].size(); ++i) {
      const ir::InstanceMember self{rank, ir::OpIndex{static_cast<std::int32_t>(i)}};
      if (folded.of[rank.index()][i] != none || instances.at(rank, self.op) == none) continue;
      const bool is_message = std::holds_alternative<ir::Send>(schedule.program_of(rank).ops[i].work) ||
                              std::holds_alternative<ir::Recv>(schedule.program_of(rank).ops[i].work);
      const ir::InstanceId id{static_cast<std::int32_t>(folded.all.size())};
      std::vector<ir::InstanceMember> members;
      for (const ir::InstanceMember member : instances.all[instances.at(rank, self.op).index()].members) {
        const Rank representative = folding.representative(member.rank);
        ir::InstanceId& its = folded.of[representative.index()][member.op.index()];
        if (its == id) continue;
        its = id;
        members.push_back({representative, member.op});
      }
      if (!is_message) std::sort(members.begin(), members.end(), [](const auto& a, const auto& b) { return a.rank < b.rank; });
      folded.all.push_back({std::move(members)});
    }
  }
  return folded;
}

}  // namespace fabricast::sim
