// Which token goes to which experts, given only how many rows each expert gets.
//
// Start: lay the experts' rows end to end and deal them over the n tokens of the block, row i to token i mod n. An expert has at most n
// rows, so no token gets it twice. Then mix: visit every row, pick another one of the block uniformly, and exchange their experts unless
// a token would come to hold one twice. Each such step is its own inverse and as likely as it, so it leaves the uniform distribution over
// all legal assignments unchanged; sweeping a few times brings the start near it, and pairs of experts meet in a token about as often as
// in drawing without replacement.
#include <algorithm>
#include <span>

#include "strategies/ir/routing.hpp"
#include "strategies/ir/split_mix.hpp"

namespace fabricast::ir {

namespace {

constexpr int sweeps = 4;  // one moves every row once to a uniformly drawn place; more only undo the traces of refused exchanges

/// Experts of all tokens of a block, [token][choice].
class Assignment {
 public:
  Assignment(std::size_t tokens, std::size_t top_k) : top_k_(top_k), experts_(tokens * top_k, RoutingPlan::no_expert) {}

  void deal(std::size_t row, std::int32_t expert) {
    const std::size_t tokens = experts_.size() / top_k_;
    experts_[row % tokens * top_k_ + row / tokens] = expert;
  }

  void mix(SplitMix64 random) {
    const auto slots = static_cast<std::uint32_t>(experts_.size());
    for (int sweep = 0; sweep < sweeps; ++sweep) {
      for (std::uint32_t slot = 0; slot < slots; ++slot) exchange(slot, random.below(slots));
    }
  }

  std::vector<std::int32_t> take_with_dropped_last() {
    for (std::size_t first = 0; first < experts_.size(); first += top_k_) {
      const auto token = std::span(experts_).subspan(first, top_k_);
      std::fill(std::remove(token.begin(), token.end(), RoutingPlan::no_expert), token.end(), RoutingPlan::no_expert);
    }
    return std::move(experts_);
  }

 private:
  [[nodiscard]] bool may_enter(std::int32_t expert, std::size_t token) const {
    const auto held = std::span(experts_).subspan(token * top_k_, top_k_);
    return expert == RoutingPlan::no_expert || std::find(held.begin(), held.end(), expert) == held.end();
  }

  void exchange(std::size_t a, std::size_t b) {
    if (may_enter(experts_[a], b / top_k_) && may_enter(experts_[b], a / top_k_)) std::swap(experts_[a], experts_[b]);
  }

  std::size_t top_k_;
  std::vector<std::int32_t> experts_;
};

}  // namespace

std::vector<std::int32_t> RoutingPlan::experts_of(RoutingStep step, std::int32_t source) const {
  const TokenRange range = tokens_of(step.chunk);
  if (range.first == range.last) return {};
  Assignment assignment(static_cast<std::size_t>(range.last - range.first), static_cast<std::size_t>(shape_.top_k));
  std::size_t row = 0;
  for (std::int32_t expert = 0; expert < shape_.experts; ++expert) {
    for (std::int64_t left = rows(step, source, expert); left > 0; --left) assignment.deal(row++, expert);
  }
  assignment.mix(SplitMix64(seed_).fork(block(step, source)));
  return assignment.take_with_dropped_last();
}

}  // namespace fabricast::ir
