#include "strategies/ir/memory_plan.hpp"

#include <algorithm>

#include "strategies/ir/buffer_uses.hpp"
#include "strategies/ir/resolve.hpp"

namespace fabricast::ir {

namespace {

constexpr std::int64_t alignment = 256;  // what cudaMalloc guarantees at least (CUDA C++ Programming Guide, device memory accesses)

Bytes align_up(Bytes offset) { return Bytes((offset.value() + alignment - 1) / alignment * alignment); }

BufferId buffer_id(std::size_t index) { return BufferId{static_cast<std::int32_t>(index)}; }

class Planner {
 public:
  Planner(const Schedule& schedule, Rank rank) : program_(schedule.program_of(rank)), uses_(program_) {
    plan_.offsets.resize(program_.buffers.size());
    for (const BufferSpec& buffer : program_.buffers) plan_.sizes.push_back(bytes_of(buffer, schedule, rank));
  }

  MemoryPlan plan() {
    place_pinned();
    for (const BufferId buffer : by_first_use()) place(buffer);
    measure_live();
    return std::move(plan_);
  }

 private:
  [[nodiscard]] bool pinned(std::size_t buffer) const { return is_pinned(program_.buffers[buffer].kind); }
  [[nodiscard]] Bytes size(BufferId buffer) const { return plan_.sizes[buffer.index()]; }
  [[nodiscard]] Bytes offset(BufferId buffer) const { return plan_.offsets[buffer.index()]; }

  void place_pinned() {
    for (std::size_t b = 0; b < program_.buffers.size(); ++b) {
      if (!pinned(b)) continue;
      plan_.offsets[b] = align_up(plan_.peak);
      plan_.peak = plan_.offsets[b] + plan_.sizes[b];
    }
    first_free_ = align_up(plan_.peak);
  }

  /// Buffers that share memory, in the order in which the program comes to need them. Those of no bytes or without use need no place.
  [[nodiscard]] std::vector<BufferId> by_first_use() const {
    std::vector<BufferId> order;
    for (std::size_t b = 0; b < program_.buffers.size(); ++b) {
      if (!pinned(b) && uses_.range(buffer_id(b)) && plan_.sizes[b] > Bytes{}) order.push_back(buffer_id(b));
    }
    std::stable_sort(order.begin(), order.end(), [&](BufferId a, BufferId b) { return uses_.range(a)->first < uses_.range(b)->first; });
    return order;
  }

  /// First fit: the lowest gap between the buffers that may be in use together with this one.
  void place(BufferId buffer) {
    const OpIndex now = uses_.range(buffer)->first;
    std::erase_if(placed_, [&](BufferId other) { return uses_.over_before(other, now); });
    Bytes gap = first_free_;
    for (const BufferId other : placed_) {
      if (gap + size(buffer) <= offset(other)) break;
      if (uses_.never_together(other, buffer)) continue;
      gap = std::max(gap, align_up(offset(other) + size(other)));
    }
    plan_.offsets[buffer.index()] = gap;
    plan_.peak = std::max(plan_.peak, gap + size(buffer));
    const auto lower = [&](BufferId a, BufferId b) { return offset(a) < offset(b); };
    placed_.insert(std::upper_bound(placed_.begin(), placed_.end(), buffer, lower), buffer);
  }

  [[nodiscard]] bool alive(std::size_t buffer, OpIndex op) const {
    if (pinned(buffer)) return true;
    const auto range = uses_.range(buffer_id(buffer));
    return range && range->first <= op && op <= range->last;
  }

  void measure_live() {
    const OpIndex fullest = find_fullest();
    for (std::size_t b = 0; b < program_.buffers.size(); ++b) {
      if (plan_.sizes[b] == Bytes{} || !alive(b, fullest)) continue;
      plan_.at_peak[program_.buffers[b].kind] += plan_.sizes[b];
      plan_.live_peak += plan_.sizes[b];
    }
  }

  /// The first op at which most bytes are alive, beside the pinned ones.
  [[nodiscard]] OpIndex find_fullest() const {
    std::vector<Bytes> change(program_.ops.size() + 1);
    for (std::size_t b = 0; b < program_.buffers.size(); ++b) {
      const auto range = uses_.range(buffer_id(b));
      if (pinned(b) || !range) continue;
      change[range->first.index()] += plan_.sizes[b];
      change[range->last.index() + 1] -= plan_.sizes[b];
    }
    Bytes live, most;
    OpIndex fullest{0};
    for (std::size_t i = 0; i < program_.ops.size(); ++i) {
      live += change[i];
      if (live <= most) continue;
      most = live;
      fullest = OpIndex{static_cast<std::int32_t>(i)};
    }
    return fullest;
  }

  const Program& program_;
  BufferUses uses_;
  MemoryPlan plan_;
  Bytes first_free_;
  std::vector<BufferId> placed_;  // by offset; without those that no later buffer can meet
};

}  // namespace

MemoryPlan plan_memory(const Schedule& schedule, Rank rank) { return Planner(schedule, rank).plan(); }

}  // namespace fabricast::ir
