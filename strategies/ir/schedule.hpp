// The schedule: what runs on which rank, in which order. Plain data, executable and simulatable. Knows no time, no hardware rates and
// no strategy: it is the contract between those who build it (strategies), replay it (sim) and execute it (runtime).
//
// Ranks that run the same code share one Program; a rank is a binding of a program to a GPU and to its communication groups. Program
// order is the host's issue order; each stream is an in-order queue; `after` adds edges between streams.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "hardware_models/collectives.hpp"
#include "hardware_models/kernels.hpp"
#include "hardware_models/units.hpp"
#include "strategies/ir/routing.hpp"

namespace fabricast::ir {

using ProgramId = Id<struct ProgramMeaning>;
using OpIndex = Id<struct OpMeaning>;          // place of an op in its program
using BufferId = Id<struct BufferMeaning>;     // place of a buffer in its program
using GroupId = Id<struct GroupMeaning>;
using StreamId = Id<struct StreamMeaning>;     // 0 computes, the others communicate
using LabelId = Id<struct LabelMeaning>;       // place in Schedule::labels

constexpr StreamId compute_stream{0};             // communication may run here too; computation nowhere else

/// The parallel axes over which ranks form groups.
enum class Axis : std::uint8_t { tensor, context, data, pipeline, expert, expert_tensor, expert_data };
constexpr std::size_t axis_count = 7;
[[nodiscard]] std::string_view name_of(Axis axis);

/// A row count: a constant, or what the routing plan says for the rank that asks, times `scale`.
struct Extent {
  enum class Of : std::uint8_t {
    constant,        // scale
    rows_sent,       // rows that this rank dispatches in `step`
    rows_received,   // rows that arrive at this rank in `step`'s dispatch
    expert_rows,     // rows that this rank's expert-tensor group computes: rows_received summed over the group, or rows_received itself
                     // where all members receive the same rows (RankBinding::sources_dispatched)
    hosted_experts,  // experts of step.layer that live on this rank
  };
  Of of = Of::constant;
  std::int64_t scale = 0;
  RoutingStep step;

  static Extent constant(std::int64_t rows) { return {Of::constant, rows, {}}; }
  friend bool operator==(const Extent&, const Extent&) = default;
};

/// The rows of each expert hosted on the rank (summed over the expert-tensor group), ascending by expert.
struct ExpertRows {
  RoutingStep step;
};

/// A collective of this rank's group on `axis`. `shard` is the number of rows that this member owns before an all-gather or after a
/// reduce-scatter; for all-reduce and broadcast, the rows of the full tensor.
struct Collective {
  hw::CollectiveKind kind;
  Axis axis;
  Extent shard;
  std::int64_t row_bytes;
  hw::CollectiveAlgorithm algorithm = hw::CollectiveAlgorithm::automatic;
  hw::Precision precision = hw::Precision::bf16;      // of the elements that a reduction sums
};

/// Dispatch (tokens to experts) or combine (back) over the expert axis; sizes come from the routing plan.
struct AllToAll {
  enum class Direction : std::uint8_t { dispatch, combine };
  Direction direction;
  RoutingStep step;
  std::int64_t row_bytes;
  hw::CollectiveAlgorithm algorithm = hw::CollectiveAlgorithm::automatic;
};

/// Point to point within this rank's group on `axis`; matched first-in first-out by (source, destination, tag).
struct Send { Axis axis; std::int32_t peer; std::int32_t tag; Extent rows; std::int64_t row_bytes; };
struct Recv { Axis axis; std::int32_t peer; std::int32_t tag; Extent rows; std::int64_t row_bytes; };

/// A Gemm whose input has more rows than m takes the last row of each of m equal parts (logits of each sequence's last token). A Gemm whose
/// weight an Embedding reads, too, takes it as that table, [n, k], transposed (tied embeddings).
using Work = std::variant<hw::Gemm<Extent>, hw::GroupedGemm<ExpertRows>, hw::Attention<Extent>, hw::Embedding<Extent>,
                          hw::RmsNorm<Extent>, hw::Rope<Extent>, hw::ResidualAdd<Extent>, hw::Activation<Extent>, hw::Router<Extent>,
                          hw::Permute<Extent>, hw::WeightedSum<Extent>, Collective, AllToAll, Send, Recv>;

[[nodiscard]] std::string_view kind_of(const Work& work);     // "gemm", "grouped_gemm", "all_gather", "send", …
[[nodiscard]] std::string_view kind_of(const hw::Kernel& kernel);
[[nodiscard]] bool communicates(const Work& work);

/// Rows [first, first + rows) of a buffer. A chunk is a view, not a copy.
struct BufferSlice {
  BufferId buffer;
  Extent first = Extent::constant(0);
  std::optional<Extent> rows;  // absent: to the end
};

enum class BufferKind : std::uint8_t { embedding_weights, attention_weights, expert_weights, dense_weights, router_weights, norm_weights,
                                       activations, dispatch, logits, input };
[[nodiscard]] std::string_view name_of(BufferKind kind);
[[nodiscard]] constexpr bool is_parameter(BufferKind kind) { return kind <= BufferKind::norm_weights; }

/// Which part of a full weight matrix a parameter buffer holds. The full matrix [rows, Σ column_blocks] has its blocks side by side (q, k,
/// v; gate, up); a rank holds, by its member index on `axis`, an equal share of the rows or of each block's columns. Per expert: one such
/// matrix for each expert hosted on the rank, ascending, one below the other.
struct ParameterShard {
  enum class Split : std::uint8_t { none, rows, columns };
  std::int32_t layer = 0;                   // 0 for weights outside the layers
  std::vector<std::int64_t> column_blocks;  // elements, of the full matrix
  Split split = Split::none;
  Axis axis = Axis::tensor;
  bool per_expert = false;
  // By block of a split by columns: so many neighbouring members hold the same share (key and value heads, where the axis has more members
  // than there are heads). Empty: 1 each.
  std::vector<std::int64_t> sharers = {};
  bool is_transposed_embedding = false;     // the head of tied embeddings, on a stage that does not hold the table itself
};

/// A two-dimensional array of rows · row_bytes. Parameters and inputs live through the program; others from first write to last use.
struct BufferSpec {
  LabelId label;
  BufferKind kind;
  Extent rows;
  std::int64_t row_bytes;
  std::optional<ParameterShard> shard;      // of parameters
};

struct Op {
  StreamId stream;
  Work work;
  std::vector<OpIndex> after;               // earlier ops of other streams; same-stream order is implicit
  std::vector<BufferSlice> reads, writes;
  LabelId label;                            // class: "dispatch"
  LabelId scope;                            // place, for people: "layer 3, micro-batch 0"
  RoutingStep step;                         // place, for programs; layer 0 outside the layers
};

struct Program {
  std::string name;                         // "stage 0"
  std::vector<std::string> streams;         // by StreamId
  std::vector<BufferSpec> buffers;
  std::vector<Op> ops;
};

/// Model coordinates of a rank. tensor, context and data belong to attention and dense layers; the expert_* ones to expert layers.
struct Coordinates { std::int32_t stage = 0, tensor = 0, context = 0, data = 0, expert = 0, expert_tensor = 0, expert_data = 0; };

struct RankBinding {
  ProgramId program;
  GpuId gpu;
  Coordinates at;
  std::int32_t source = 0;                            // routing source: index within the stage
  // This rank dispatches the tokens of sources [source, source + sources_dispatched). Above 1, every rank of an expert-tensor group
  // receives the same rows, those of whole tensor groups; at 1, each receives its own and the group exchanges them.
  std::int32_t sources_dispatched = 1;
  std::array<GroupId, axis_count> groups{};           // by Axis
  std::array<std::int32_t, axis_count> members{};     // this rank's index in each of those groups
};

struct Group {
  Axis axis;
  std::vector<Rank> members;                          // in axis order
};

struct Schedule {
  std::vector<Program> programs;
  std::vector<RankBinding> ranks;
  std::vector<Group> groups;
  RoutingPlan routing;
  std::vector<std::string> labels;
  std::int64_t tokens = 0;                            // of the whole job, per step

  [[nodiscard]] const Program& program_of(Rank rank) const { return programs[ranks[rank.index()].program.index()]; }
  [[nodiscard]] const Group& group_of(Rank rank, Axis axis) const {
    return groups[ranks[rank.index()].groups[static_cast<std::size_t>(axis)].index()];
  }
  [[nodiscard]] std::int32_t member_of(Rank rank, Axis axis) const { return ranks[rank.index()].members[static_cast<std::size_t>(axis)]; }
  [[nodiscard]] const std::string& label(LabelId id) const { return labels[id.index()]; }
};

}  // namespace fabricast::ir
