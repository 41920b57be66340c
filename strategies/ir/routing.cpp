#include "strategies/ir/routing.hpp"

#include <fmt/format.h>

#include <numeric>
#include <stdexcept>

namespace fabricast::ir {

namespace {

void check_shape(const RoutingShape& s) {
  const bool positive = s.layers > 0 && s.micro_batches > 0 && s.chunks > 0 && s.sources > 0 && s.experts > 0 && s.expert_positions > 0;
  if (!positive || s.tokens < 0) {
    throw std::invalid_argument(fmt::format(
        "routing needs layers ({}), micro-batches ({}), chunks ({}), sources ({}), experts ({}), expert positions ({}) and tokens ({})",
        s.layers, s.micro_batches, s.chunks, s.sources, s.experts, s.expert_positions, s.tokens));
  }
  if (s.top_k < 1 || s.top_k > s.experts) {
    throw std::invalid_argument(fmt::format("top_k {} must lie in 1 … {} experts: a token's experts are distinct", s.top_k, s.experts));
  }
}

}  // namespace

RoutingPlan::RoutingPlan(RoutingShape shape, std::uint64_t seed) : shape_(shape), seed_(seed) {
  check_shape(shape);
  for (std::int64_t chunk = 0; chunk <= shape.chunks; ++chunk) chunk_first_.push_back(chunk * shape.tokens / shape.chunks);
}

RoutingPlan RoutingPlan::uniform(RoutingShape shape, std::uint64_t seed) {
  RoutingPlan plan(shape, seed);
  plan.start_dealing();
  return plan;
}

// The slot ((micro_batch · sources + source) · tokens + token) · top_k, taken mod experts term by term, so that counts need no division.
void RoutingPlan::start_dealing() {
  for (std::int32_t chunk = 0; chunk < shape_.chunks; ++chunk) {
    const TokenRange range = tokens_of(chunk);
    const std::int64_t slots = (range.last - range.first) * shape_.top_k;
    chunk_dealing_.push_back({slots / shape_.experts, slots % shape_.experts, range.first * shape_.top_k % shape_.experts});
  }
  const std::int64_t shard = shape_.tokens * shape_.top_k % shape_.experts;
  for (std::int64_t source = 0; source < shape_.sources; ++source) source_offset_.push_back(source * shard % shape_.experts);
  const std::int64_t pass = shape_.sources * shard % shape_.experts;
  for (std::int64_t m = 0; m < shape_.micro_batches; ++m) micro_batch_offset_.push_back(m * pass % shape_.experts);
}

RoutingPlan RoutingPlan::from_counts(RoutingShape shape, std::uint64_t seed, std::vector<std::uint32_t> counts) {
  RoutingPlan plan(shape, seed);
  plan.counts_ = std::move(counts);
  plan.check_counts();
  const auto experts = static_cast<std::ptrdiff_t>(shape.experts);
  for (auto first = plan.counts_.begin(); first != plan.counts_.end(); first += experts) {
    plan.sent_.push_back(std::accumulate(first, first + experts, std::int64_t{0}));
  }
  return plan;
}

void RoutingPlan::check_counts() const {
  const std::size_t blocks = block({shape_.layers - 1, shape_.micro_batches - 1, shape_.chunks - 1}, shape_.sources - 1) + 1;
  if (counts_.size() != blocks * shape_.experts) {
    throw std::invalid_argument(
        fmt::format("routing counts: {} entries for {} blocks of {} experts", counts_.size(), blocks, shape_.experts));
  }
  for (std::size_t b = 0; b < blocks; ++b) {
    const auto chunk = b % shape_.chunks, source = b / shape_.chunks % shape_.sources;
    const auto pass = b / shape_.chunks / shape_.sources;
    const TokenRange range = tokens_of(static_cast<std::int32_t>(chunk));
    const std::int64_t tokens = range.last - range.first;
    const auto where = [&] {
      return fmt::format("routing counts of layer {}, micro-batch {}, source {}, chunk {}", pass / shape_.micro_batches,
                         pass % shape_.micro_batches, source, chunk);
    };
    std::int64_t sum = 0;
    for (std::size_t e = 0; e < static_cast<std::size_t>(shape_.experts); ++e) {
      const std::int64_t count = counts_[b * shape_.experts + e];
      if (count > tokens) throw std::invalid_argument(fmt::format("{}: expert {} gets {} rows of {} tokens", where(), e, count, tokens));
      sum += count;
    }
    if (sum > tokens * shape_.top_k) {
      throw std::invalid_argument(fmt::format("{}: {} rows, at most {} tokens · top_k {}", where(), sum, tokens, shape_.top_k));
    }
  }
}

std::int64_t RoutingPlan::rows(RoutingStep step, std::int32_t source, std::int32_t expert) const {
  if (is_uniform()) return dealt(dealing(step, source), expert);
  return counts_[block(step, source) * shape_.experts + expert];
}

std::int64_t RoutingPlan::rows_sent(RoutingStep step, std::int32_t source) const {
  if (!is_uniform()) return sent_[block(step, source)];
  const TokenRange range = tokens_of(step.chunk);
  return (range.last - range.first) * shape_.top_k;
}

std::int64_t RoutingPlan::rows_to(RoutingStep step, std::int32_t source, std::int32_t position) const {
  std::int64_t sum = 0;
  for (const std::int32_t expert : hosted(step.layer, position)) {
    sum += several_copies_ ? rows(step, source, expert, position) : rows(step, source, expert);
  }
  return sum;
}

void RoutingPlan::add_rows_at(RoutingStep step, std::span<const std::int32_t> sources, std::int32_t position,
                              std::span<std::int64_t> sums) const {
  const auto& experts = hosted(step.layer, position);
  for (const std::int32_t source : sources) {
    if (several_copies_) {
      for (std::size_t i = 0; i < experts.size(); ++i) sums[i] += rows(step, source, experts[i], position);
    } else if (is_uniform()) {
      const Dealing d = dealing(step, source);
      for (std::size_t i = 0; i < experts.size(); ++i) sums[i] += dealt(d, experts[i]);
    } else {
      const std::uint32_t* const counts = &counts_[block(step, source) * shape_.experts];
      for (std::size_t i = 0; i < experts.size(); ++i) sums[i] += counts[experts[i]];
    }
  }
}

void RoutingPlan::add_rows_to(RoutingStep step, std::int32_t source, std::span<std::int64_t> sums) const {
  if (several_copies_) {
    for (std::size_t p = 0; p < sums.size(); ++p) sums[p] += rows_to(step, source, static_cast<std::int32_t>(p));
    return;
  }
  const auto& hosts = hosts_.at(static_cast<std::size_t>(step.layer));  // one copy of each expert
  const auto place = [&](std::size_t expert) -> std::int64_t& { return sums[static_cast<std::size_t>(hosts[expert].positions.front())]; };
  if (is_uniform()) {
    const Dealing d = dealing(step, source);
    for (std::size_t e = 0; e < hosts.size(); ++e) place(e) += dealt(d, static_cast<std::int32_t>(e));
  } else {
    const std::uint32_t* const counts = &counts_[block(step, source) * shape_.experts];
    for (std::size_t e = 0; e < hosts.size(); ++e) place(e) += counts[e];
  }
}

}  // namespace fabricast::ir
