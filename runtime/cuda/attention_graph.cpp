#include "runtime/cuda/attention_graph.hpp"

#include <cmath>
#include <limits>

namespace fabricast::runtime::cuda {
namespace {

using Type = GraphTensor::Type;
using Place = GraphTensor::Place;

class Builder {
 public:
  explicit Builder(const AttentionSizes& sizes) : sizes_(sizes) {}

  [[nodiscard]] AttentionGraph build() {
    const AttentionSizes& s = sizes_;
    const std::int64_t row = s.row_width(), all = s.length * row, out_row = s.heads * s.head_dim;
    graph_.query = add({Type::bf16, Place::memory, {s.sequences, s.heads, s.length, s.head_dim}, {all, s.head_dim, row, 1}});
    graph_.key = add({Type::bf16, Place::memory, {s.sequences, s.kv_heads, s.head_dim, s.length}, {all, s.head_dim, 1, row}});
    graph_.value = add({Type::bf16, Place::memory, {s.sequences, s.kv_heads, s.length, s.head_dim}, {all, s.head_dim, row, 1}});
    graph_.out = add({Type::bf16, Place::memory, {s.sequences, s.heads, s.length, s.head_dim}, {s.length * out_row, s.head_dim, out_row, 1}});
    graph_.scale = number();
    const GraphTensorId products = then(GraphOperation::product, {graph_.query, graph_.key, no_tensor}, scores());
    const GraphTensorId weights = soften(seen(then(GraphOperation::times, {products, graph_.scale, no_tensor}, scores())));
    (void)then(GraphOperation::product, {weights, graph_.value, no_tensor}, graph_.out);
    return std::move(graph_);
  }

 private:
  GraphTensorId add(const GraphTensor& tensor) {
    graph_.tensors.push_back(tensor);
    return static_cast<GraphTensorId>(graph_.tensors.size() - 1);
  }
  GraphTensorId number() { return add({Type::fp32, Place::value, {1, 1, 1, 1}, {1, 1, 1, 1}}); }
  /// One for each query and key, or for each query.
  GraphTensorId scores(Type type = Type::fp32) { return between(type, sizes_.length); }
  GraphTensorId row_values() { return between(Type::fp32, 1); }
  GraphTensorId between(Type type, std::int64_t columns) {
    const std::int64_t head = sizes_.length * columns;
    return add({type, Place::between, {sizes_.sequences, sizes_.heads, sizes_.length, columns}, {sizes_.heads * head, head, columns, 1}});
  }
  GraphTensorId then(GraphOperation operation, const std::array<GraphTensorId, 3>& in, GraphTensorId out) {
    graph_.nodes.push_back({operation, in, out});
    return out;
  }

  GraphTensorId seen(GraphTensorId score) {
    if (!sizes_.causal) return score;
    graph_.hidden = number();
    const GraphTensorId row = then(GraphOperation::row, {score, no_tensor, no_tensor}, scores(Type::int32));
    const GraphTensorId column = then(GraphOperation::column, {score, no_tensor, no_tensor}, scores(Type::int32));
    const GraphTensorId is_seen = then(GraphOperation::at_least, {row, column, no_tensor}, scores(Type::boolean));
    return then(GraphOperation::select, {score, graph_.hidden, is_seen}, scores());
  }

  /// The logarithm of the sum is asked for by nobody, but without it cuDNN takes the graph for another.
  GraphTensorId soften(GraphTensorId score) {
    const GraphTensorId highest = then(GraphOperation::highest, {score, no_tensor, no_tensor}, row_values());
    const GraphTensorId below = then(GraphOperation::minus, {score, highest, no_tensor}, scores());
    const GraphTensorId exponential = then(GraphOperation::exp, {below, no_tensor, no_tensor}, scores());
    const GraphTensorId sum = then(GraphOperation::sum, {exponential, no_tensor, no_tensor}, row_values());
    const GraphTensorId logarithm = then(GraphOperation::log, {sum, no_tensor, no_tensor}, row_values());
    (void)then(GraphOperation::plus, {highest, logarithm, no_tensor}, row_values());
    return then(GraphOperation::divide, {exponential, sum, no_tensor}, scores(Type::bf16));
  }

  AttentionSizes sizes_;
  AttentionGraph graph_;
};

}  // namespace

AttentionGraph attention_graph(const AttentionSizes& sizes) { return Builder(sizes).build(); }

AttentionNumbers attention_numbers(const AttentionSizes& sizes) {
  return {1.0F / std::sqrt(static_cast<float>(sizes.head_dim)), -std::numeric_limits<float>::infinity()};
}

std::vector<GraphOperand> attention_operands(const AttentionGraph& graph, const AttentionSizes& sizes, AttentionNumbers& numbers, std::byte* qkv,
                                             std::byte* out) {
  constexpr std::int64_t element_bytes = 2;
  std::vector<GraphOperand> operands{{graph.query, qkv},
                                     {graph.key, qkv + sizes.key_column(0) * element_bytes},
                                     {graph.value, qkv + sizes.value_column(0) * element_bytes},
                                     {graph.out, out},
                                     {graph.scale, &numbers.scale}};
  if (graph.hidden != no_tensor) operands.push_back({graph.hidden, &numbers.hidden});
  return operands;
}

}  // namespace fabricast::runtime::cuda
