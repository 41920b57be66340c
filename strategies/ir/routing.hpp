// The routing plan: how many tokens each source sends to each expert, where experts live, and which token goes where. Read by both
// worlds, so that they see the same skew. Knows no time, no buffers; strategies/routing_builder makes it.
//
// A *source* is a rank of a pipeline stage, counted from 0 within the stage in rank order; every stage has the same sources. Each holds
// its own shard of the tokens. A *chunk* is a slice of that shard when dispatch is pipelined with the experts.
// An *expert position* is a place in the expert axis (expert index), 0 … expert degree-1.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "hardware_models/units.hpp"

namespace fabricast::ir {

/// Which of the model's MoE layers (counted over all layers, dense ones included), which micro-batch, which chunk of its tokens.
struct RoutingStep {
  std::int32_t layer = 0, micro_batch = 0, chunk = 0;
  friend bool operator==(const RoutingStep&, const RoutingStep&) = default;
};

/// A copy of an expert that a source may use. Where several are equally near, tokens are dealt over them round-robin.
struct Replicas {
  std::vector<std::int32_t> positions;  // sorted expert positions, never empty
  friend bool operator==(const Replicas&, const Replicas&) = default;
};

struct RoutingShape {
  std::int32_t layers = 0, micro_batches = 1, chunks = 1, sources = 0, experts = 0, top_k = 0;
  std::int32_t expert_positions = 1;             // expert degree
  std::int64_t tokens = 0;                       // per source and micro-batch
  double reach = 1.0;                            // hw::TokenRouting's; with from_counts only, and experts_of does not keep to it
};

/// Immutable but for place_experts, which comes before any question about positions. Arguments must be in the ranges of shape().
class RoutingPlan {
 public:
  RoutingPlan() = default;  // a model without experts

  /// Uniform: slot j (token · top_k + choice), counted over micro-batches, sources and tokens, goes to expert j mod experts, so that counts
  /// of each source and of each expert differ by at most 1.
  static RoutingPlan uniform(RoutingShape shape, std::uint64_t seed);
  /// counts[(((layer · micro_batches + micro_batch) · sources + source) · chunks + chunk) · experts + expert]; each block must sum to
  /// tokens of the chunk · top_k (or less, where a capacity drops some) and no count may exceed the tokens of the chunk.
  /// Throws std::invalid_argument naming the block.
  static RoutingPlan from_counts(RoutingShape shape, std::uint64_t seed, std::vector<std::uint32_t> counts);

  /// hosts[layer][expert]: all positions that hold a copy. nearest[layer][source][expert] is optional (empty: every source may use every
  /// copy) and names the copies that the source's tokens are dealt over. Throws std::invalid_argument.
  void place_experts(std::vector<std::vector<Replicas>> hosts, std::vector<std::vector<std::vector<Replicas>>> nearest);

  [[nodiscard]] const RoutingShape& shape() const { return shape_; }
  [[nodiscard]] bool empty() const { return shape_.experts == 0; }
  [[nodiscard]] bool is_uniform() const { return counts_.empty(); }
  [[nodiscard]] bool has_placement() const { return !hosts_.empty(); }

  /// Tokens [first, last) of the source's shard that belong to a chunk.
  struct TokenRange { std::int64_t first, last; };
  [[nodiscard]] TokenRange tokens_of(std::int32_t chunk) const {
    const auto c = static_cast<std::size_t>(chunk);
    return {chunk_first_[c], chunk_first_[c + 1]};
  }

  /// Rows that `source` sends to `expert`.
  [[nodiscard]] std::int64_t rows(RoutingStep step, std::int32_t source, std::int32_t expert) const;
  /// Rows that `source` sends in all.
  [[nodiscard]] std::int64_t rows_sent(RoutingStep step, std::int32_t source) const;
  /// Rows for `expert` that `source` sends to the copy at `position`; 0 where there is none.
  [[nodiscard]] std::int64_t rows(RoutingStep step, std::int32_t source, std::int32_t expert, std::int32_t position) const;
  /// Rows that `source` sends to `position`, over all experts hosted there.
  [[nodiscard]] std::int64_t rows_to(RoutingStep step, std::int32_t source, std::int32_t position) const;
  /// Adds rows_to of every position to sums[position]: all of a source's sizes at once, for less than one by one.
  void add_rows_to(RoutingStep step, std::int32_t source, std::span<std::int64_t> sums) const;
  /// Adds the rows that the sources send to `position` to sums[i], i being the place of the expert in hosted(step.layer, position): what
  /// arrives there, again for less than one by one.
  void add_rows_at(RoutingStep step, std::span<const std::int32_t> sources, std::int32_t position, std::span<std::int64_t> sums) const;
  /// Where the row-th of the source's rows for `expert` goes, rows counted in token order. Consistent with rows(…, position).
  [[nodiscard]] std::int32_t position_of(RoutingStep step, std::int32_t source, std::int32_t expert, std::int64_t row) const;

  /// Experts with a copy at a position, ascending. Throws std::out_of_range before place_experts.
  [[nodiscard]] const std::vector<std::int32_t>& hosted(std::int32_t layer, std::int32_t position) const {
    return hosted_.at(static_cast<std::size_t>(layer) * shape_.expert_positions + position);
  }

  /// What experts_of gives for a choice that a capacity dropped.
  static constexpr std::int32_t no_expert = -1;

  /// The experts of every token of the block (source, chunk), [token - first][choice], top_k distinct ones a token; dropped choices stand
  /// last in their token. Pure: a seeded assignment that is random-looking yet has exactly the counts of rows(); routing_assignment.cpp
  /// says how. Time and memory are linear in tokens · top_k.
  [[nodiscard]] std::vector<std::int32_t> experts_of(RoutingStep step, std::int32_t source) const;

 private:
  /// Uniform counts of one block: base, and one more for the `remainder` experts from `offset` on, cyclically.
  struct Dealing { std::int64_t base, remainder, offset; };

  RoutingPlan(RoutingShape shape, std::uint64_t seed);
  [[nodiscard]] std::size_t block(RoutingStep step, std::int32_t source) const {
    const std::size_t pass = static_cast<std::size_t>(step.layer) * shape_.micro_batches + step.micro_batch;
    return (pass * shape_.sources + source) * shape_.chunks + step.chunk;
  }
  /// value mod experts, for 0 <= value < 2 · experts.
  [[nodiscard]] std::int64_t wrapped(std::int64_t value) const { return value >= shape_.experts ? value - shape_.experts : value; }
  [[nodiscard]] Dealing dealing(RoutingStep step, std::int32_t source) const {
    const Dealing& of_chunk = chunk_dealing_[static_cast<std::size_t>(step.chunk)];
    const std::int64_t shard = wrapped(source_offset_[static_cast<std::size_t>(source)] +
                                       micro_batch_offset_[static_cast<std::size_t>(step.micro_batch)]);
    const std::int64_t offset = wrapped(shard + of_chunk.offset);
    return {of_chunk.base, of_chunk.remainder, offset};
  }
  [[nodiscard]] std::int64_t dealt(const Dealing& d, std::int32_t expert) const {
    const std::int64_t after = expert - d.offset;
    return d.base + ((after < 0 ? after + shape_.experts : after) < d.remainder ? 1 : 0);
  }
  [[nodiscard]] const std::vector<std::int32_t>& copies(std::int32_t layer, std::int32_t source, std::int32_t expert) const;
  [[nodiscard]] std::size_t first_copy(RoutingStep step, std::int32_t source, std::int32_t expert, std::size_t copies) const;
  void start_dealing();
  void check_counts() const;
  void check_placement() const;
  void list_hosted();
  void deal_over_copies();
  void deal_deck(std::int32_t layer, std::int32_t micro_batch, std::int32_t expert);
  [[nodiscard]] std::size_t deck_place(RoutingStep step, std::int32_t source, std::int32_t expert) const;

  RoutingShape shape_;
  std::uint64_t seed_ = 0;
  std::vector<std::int64_t> chunk_first_;                               // [chunk], and the end: c · tokens / chunks
  std::vector<Dealing> chunk_dealing_;                                  // uniform counts of a chunk; offset: of its first slot in the shard
  std::vector<std::int64_t> source_offset_, micro_batch_offset_;        // first slot of the shard, of the micro-batch, mod experts
  std::vector<std::uint32_t> counts_;                                   // empty: uniform
  std::vector<std::int64_t> sent_;                                      // [block]: sums of counts_
  std::vector<std::vector<Replicas>> hosts_;                            // [layer][expert]
  std::vector<std::vector<std::vector<Replicas>>> nearest_;             // [layer][source][expert]
  std::vector<std::vector<std::int32_t>> hosted_;                       // [layer · positions + position]
  bool several_copies_ = false;

  // Rows of an expert that sources with the same copies to choose from send before this block, modulo their number: where dealing goes on.
  // Layers (micro-batches) that are alike share one entry.
  std::vector<std::uint16_t> dealt_before_;                             // [layer or one][micro-batch or one][source][chunk][expert]
  std::int32_t dealt_layers_ = 0, dealt_micro_batches_ = 0;
};

}  // namespace fabricast::ir
