// Do the members of a collective, and the two ends of a message, mean the same bytes?
#include <fmt/format.h>

#include "strategies/ir/resolve.hpp"
#include "strategies/ir/validate.hpp"
#include "strategies/ir/validate_parts.hpp"

namespace fabricast::ir {

namespace {

class SizeCheck {
 public:
  SizeCheck(const Schedule& schedule, const Instance& instance) : schedule_(schedule), members_(instance.members) {}

  void run() const {
    const Op& first = op_of(members_.front());
    if (const auto* collective = std::get_if<Collective>(&first.work)) check_collective(*collective);
    if (std::holds_alternative<Send>(first.work)) check_message();
  }

 private:
  [[nodiscard]] const Op& op_of(InstanceMember member) const { return schedule_.program_of(member.rank).ops[member.op.index()]; }

  void check_collective(const Collective& first) const {
    const bool sharded = first.kind == hw::CollectiveKind::all_gather || first.kind == hw::CollectiveKind::reduce_scatter;
    for (std::size_t m = 1; m < members_.size(); ++m) {
      const auto& own = std::get<Collective>(op_of(members_[m]).work);
      if (sharded ? own.shard == first.shard : own.shard == first.shard && own.shard.of == Extent::Of::constant) continue;
      // Shards may differ by rank, but the first member's op must say what each of the others says of itself.
      const Rank rank = members_[m].rank;
      const std::int64_t expected = evaluate(first.shard, schedule_, sharded ? rank : members_.front().rank);
      const std::int64_t rows = evaluate(own.shard, schedule_, rank);
      if (rows != expected) fail(members_[m], rows, expected);
    }
  }

  void check_message() const {
    const auto& send = std::get<Send>(op_of(members_[0]).work);
    const auto& recv = std::get<Recv>(op_of(members_[1]).work);
    const std::int64_t sent = evaluate(send.rows, schedule_, members_[0].rank) * send.row_bytes;
    const std::int64_t received = evaluate(recv.rows, schedule_, members_[1].rank) * recv.row_bytes;
    if (sent == received) return;
    throw ScheduleError(fmt::format("{}: receives {} B of the {} B sent by {}; the two must be equal", describe_member(members_[1]),
                                    received, sent, describe_member(members_[0])));
  }

  [[noreturn]] void fail(InstanceMember member, std::int64_t rows, std::int64_t expected) const {
    throw ScheduleError(fmt::format("{}: brings {} rows to a collective in which {} expects {} of it; members must agree",
                                    describe_member(member), rows, describe_member(members_.front()), expected));
  }

  [[nodiscard]] std::string describe_member(InstanceMember member) const { return describe(schedule_, member.rank, member.op); }

  const Schedule& schedule_;
  const std::vector<InstanceMember>& members_;
};

}  // namespace

void check_sizes_agree(const Schedule& schedule, const Instances& instances) {
  for (const Instance& instance : instances.all) SizeCheck(schedule, instance).run();
}

}  // namespace fabricast::ir
