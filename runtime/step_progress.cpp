#include "runtime/step_progress.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace fabricast::runtime {

StepProgress::StepProgress(const ir::Schedule& schedule, std::span<const IssueUnit> units)
    : schedule_(schedule), units_(units), stream_of_(schedule.ranks.size()), place_of_(schedule.ranks.size()) {
  std::map<std::pair<Rank, ir::StreamId>, std::size_t> known;
  for (const IssueUnit& unit : units_) {
    for (const ir::InstanceMember member : unit.members) {
      const auto& ops = schedule_.program_of(member.rank).ops;
      stream_of_[member.rank.index()].resize(ops.size());
      place_of_[member.rank.index()].resize(ops.size());
      const auto [at, is_new] = known.emplace(std::pair(member.rank, ops[member.op.index()].stream), streams_.size());
      if (is_new) streams_.emplace_back();
      Stream& stream = streams_[at->second];
      stream_of_[member.rank.index()][member.op.index()] = at->second;
      place_of_[member.rank.index()][member.op.index()] = stream.ops.size();
      stream.ops.push_back(member);
    }
  }
}

void StepProgress::begin_step() {
  const std::lock_guard lock(mutex_);
  issued_ = 0;
  for (Stream& stream : streams_) stream.issued = stream.ended = 0;
}

void StepProgress::issued() {
  const std::lock_guard lock(mutex_);
  for (const ir::InstanceMember member : units_[issued_].members) ++streams_[stream_of_[member.rank.index()][member.op.index()]].issued;
  ++issued_;
  ++moves_;
}

void StepProgress::advance(const HasEnded& has_ended) {
  const std::lock_guard lock(mutex_);
  for (Stream& stream : streams_) {
    while (stream.ended < stream.issued && has_ended(stream.ops[stream.ended])) {
      ++stream.ended;
      ++moves_;
    }
  }
}

std::size_t StepProgress::moves() const {
  const std::lock_guard lock(mutex_);
  return moves_;
}

bool StepProgress::all_ended() const {
  const std::lock_guard lock(mutex_);
  return std::all_of(streams_.begin(), streams_.end(), [](const Stream& s) { return s.ended == s.ops.size(); });
}

bool StepProgress::has_ended(Rank rank, ir::OpIndex op) const {
  return place_of_[rank.index()][op.index()] < streams_[stream_of_[rank.index()][op.index()]].ended;
}

bool StepProgress::is_computing() const {
  const std::lock_guard lock(mutex_);
  return std::any_of(streams_.begin(), streams_.end(), [&](const Stream& stream) {
    if (stream.ended == stream.issued) return false;
    const auto [rank, index] = stream.ops[stream.ended];
    const ir::Op& op = schedule_.program_of(rank).ops[index.index()];
    if (ir::communicates(op.work)) return false;
    return std::all_of(op.after.begin(), op.after.end(), [&, r = rank](ir::OpIndex earlier) { return has_ended(r, earlier); });
  });
}

std::vector<ir::InstanceMember> StepProgress::under_way() const {
  const std::lock_guard lock(mutex_);
  std::vector<ir::InstanceMember> heads;
  for (const Stream& stream : streams_) {
    if (stream.ended < stream.issued) heads.push_back(stream.ops[stream.ended]);
  }
  return heads;
}

}  // namespace fabricast::runtime
