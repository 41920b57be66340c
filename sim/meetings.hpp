// The instances that a replay runs, spelled out: who meets whom. Knows no time.
#pragma once

#include <vector>

#include "strategies/ir/instances.hpp"
#include "strategies/ir/schedule.hpp"

namespace fabricast::sim {

struct Meeting {
  std::vector<ir::InstanceMember> members;           // in group order; for send/recv: the sender, then the receiver
};

struct Meetings {
  std::vector<Meeting> all;                          // by ir::InstanceId, counted anew where ranks are folded
  std::vector<std::vector<ir::InstanceId>> of;       // by rank and op; -1 where the op is computation; empty for ranks not replayed

  [[nodiscard]] ir::InstanceId at(Rank rank, ir::OpIndex op) const { return of[rank.index()][op.index()]; }
};

/// Of all ranks.
[[nodiscard]] inline Meetings meetings_of(const ir::Schedule& schedule, const ir::Instances& instances) {
  Meetings meetings;
  for (const ir::RankBinding& rank : schedule.ranks) {
    meetings.of.emplace_back(schedule.programs[rank.program.index()].ops.size(), ir::InstanceId{-1});
  }
  meetings.all.reserve(instances.all.size());
  for (const ir::Instance& instance : instances.all) {
    const ir::InstanceId id{static_cast<std::int32_t>(meetings.all.size())};
    auto& members = meetings.all.emplace_back().members;
    members.reserve(instance.members.size());
    for (const ir::InstanceMember member : instance.members) {
      members.push_back(member);
      meetings.of[member.rank.index()][member.op.index()] = id;
    }
  }
  return meetings;
}

}  // namespace fabricast::sim
