#include "tests/runtime/device/host_cudnn.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <mutex>
#include <stdexcept>
#include <vector>

#include "runtime/bf16.hpp"
#include "runtime/cuda/fused_attention.hpp"
#include "tests/runtime/device/host_device.hpp"

namespace fabricast::tests {
namespace {

using namespace runtime::cuda;
using runtime::Bf16;
using Index = std::array<std::int64_t, 4>;

constexpr std::size_t workspace_needed = 256;

/// A tensor's numbers, dense in its own order, as fp32: exact for bf16, truth values and the row numbers here.
class Interpreter {
 public:
  Interpreter(const AttentionGraph& graph, const std::vector<GraphOperand>& operands) : graph_(graph), values_(graph.tensors.size()) {
    for (const GraphOperand& operand : operands) {
      if (operand.tensor != graph.out) load(operand);
    }
    for (const GraphNode& node : graph.nodes) run(node);
    const GraphTensor& to = graph.tensors[at(graph.out)];
    for (const GraphOperand& operand : operands) {
      if (operand.tensor != graph.out) continue;
      each(to, [&](const Index& i, std::size_t place) { static_cast<Bf16*>(operand.place)[offset(to, i)] = rounded(values_[at(graph.out)][place]); });
    }
  }

 private:
  static std::size_t at(GraphTensorId id) { return static_cast<std::size_t>(id); }
  static std::int64_t offset(const GraphTensor& tensor, const Index& i) {
    std::int64_t sum = 0;
    for (std::size_t d = 0; d < 4; ++d) sum += i[d] * tensor.strides[d];
    return sum;
  }
  static Bf16 rounded(float value) {
    Bf16 bits{};
    store(value, bits);
    return bits;
  }
  template <class Body>
  static void each(const GraphTensor& tensor, Body body) {
    std::size_t place = 0;
    Index i{};
    for (i[0] = 0; i[0] < tensor.sizes[0]; ++i[0]) {
      for (i[1] = 0; i[1] < tensor.sizes[1]; ++i[1]) {
        for (i[2] = 0; i[2] < tensor.sizes[2]; ++i[2]) {
          for (i[3] = 0; i[3] < tensor.sizes[3]; ++i[3]) body(i, place++);
        }
      }
    }
  }

  void load(const GraphOperand& from) {
    const GraphTensor& tensor = graph_.tensors[at(from.tensor)];
    const bool is_value = tensor.place == GraphTensor::Place::value;
    each(tensor, [&](const Index& i, std::size_t) {
      values_[at(from.tensor)].push_back(is_value ? *static_cast<const float*>(from.place)
                                                  : to_float(static_cast<const Bf16*>(from.place)[offset(tensor, i)]));
    });
  }

  /// Where sizes[d] is 1, the same all along d; fewer heads are shared.
  [[nodiscard]] float value(GraphTensorId id, Index i, std::int64_t heads) const {
    const GraphTensor& tensor = graph_.tensors[at(id)];
    if (tensor.sizes[1] < heads && tensor.sizes[1] > 1) i[1] = i[1] * tensor.sizes[1] / heads;
    std::int64_t place = 0;
    for (std::size_t d = 0; d < 4; ++d) {
      if (tensor.sizes[d] == 1) i[d] = 0;
      if (i[d] >= tensor.sizes[d]) throw std::logic_error("graph: operands of other sizes");
      place = place * tensor.sizes[d] + i[d];
    }
    return values_[at(id)].at(static_cast<std::size_t>(place));
  }

  void run(const GraphNode& node) {
    const GraphTensor& out = graph_.tensors[at(node.out)];
    const bool is_rounded = out.type == GraphTensor::Type::bf16;
    std::vector<float> results;
    each(out, [&](const Index& i, std::size_t) {
      const float result = one(node, i, out.sizes[1]);
      results.push_back(is_rounded ? to_float(rounded(result)) : result);
    });
    values_[at(node.out)] = std::move(results);
  }

  [[nodiscard]] float one(const GraphNode& node, const Index& i, std::int64_t heads) const {
    const auto in = [&](std::size_t k) { return value(node.in[k], i, heads); };
    const GraphTensor& first = graph_.tensors[at(node.in[0])];
    switch (node.operation) {
      case GraphOperation::product: {
        float sum = 0.0F;
        for (std::int64_t k = 0; k < first.sizes[3]; ++k) {
          sum += value(node.in[0], {i[0], i[1], i[2], k}, heads) * value(node.in[1], {i[0], i[1], k, i[3]}, heads);
        }
        return sum;
      }
      case GraphOperation::highest:
      case GraphOperation::sum: {
        float result = node.operation == GraphOperation::sum ? 0.0F : -INFINITY;
        for (std::int64_t j = 0; j < first.sizes[3]; ++j) {
          const float x = value(node.in[0], {i[0], i[1], i[2], j}, heads);
          result = node.operation == GraphOperation::sum ? result + x : std::max(result, x);
        }
        return result;
      }
      case GraphOperation::row: return static_cast<float>(i[2]);
      case GraphOperation::column: return static_cast<float>(i[3]);
      case GraphOperation::at_least: return in(0) >= in(1) ? 1.0F : 0.0F;
      case GraphOperation::select: return in(2) != 0.0F ? in(0) : in(1);
      case GraphOperation::times: return in(0) * in(1);
      case GraphOperation::minus: return in(0) - in(1);
      case GraphOperation::exp: return std::exp(in(0));
      case GraphOperation::log: return std::log(in(0));
      case GraphOperation::plus: return in(0) + in(1);
      case GraphOperation::divide: return in(0) / in(1);
    }
    throw std::logic_error("graph: an operation that is none");
  }

  const AttentionGraph& graph_;
  std::vector<std::vector<float>> values_;
};

class HostAttention final : public FusedAttention {
 public:
  explicit HostAttention(const AttentionSizes& sizes) : sizes_(sizes), graph_(attention_graph(sizes)) {}
  void prepare(const AttentionMemory&) override { ++host_cudnn().prepared; }
  void run(const AttentionMemory& memory, CUstream_st* stream) override {
    if (host_cudnn().fails_to_run) throw std::runtime_error("CUDNN_STATUS_EXECUTION_FAILED: played");
    if (memory.workspace.size() < workspace_needed) throw std::logic_error("a kernel without its workspace");
    ++host_cudnn().ran;
    enqueue(stream, [sizes = sizes_, graph = graph_, memory] {
      std::memset(memory.workspace.data(), 0xff, workspace_needed);
      AttentionNumbers numbers = attention_numbers(sizes);
      interpret(graph, attention_operands(graph, sizes, numbers, memory.qkv, memory.out));
    });
  }

 private:
  AttentionSizes sizes_;
  AttentionGraph graph_;
};

class HostLibrary final : public FusedAttentionLibrary {
 public:
  [[nodiscard]] std::string name() const override { return "cuDNN 9.0.0, played"; }
  [[nodiscard]] std::unique_ptr<FusedAttention> choose(const AttentionSizes& sizes, std::size_t workspace) override {
    ++host_cudnn().chosen;
    const std::string why = host_cudnn().why_not ? host_cudnn().why_not(sizes) : std::string();
    if (!why.empty()) throw std::runtime_error(why);
    if (workspace < workspace_needed) throw std::runtime_error("it needs a workspace");
    return std::make_unique<HostAttention>(sizes);
  }
};

}  // namespace

HostCudnn& host_cudnn() {
  static HostCudnn cudnn;
  return cudnn;
}

void interpret(const AttentionGraph& graph, const std::vector<GraphOperand>& operands) { Interpreter(graph, operands); }

}  // namespace fabricast::tests

namespace fabricast::runtime::cuda {

std::unique_ptr<FusedAttentionLibrary> open_cudnn() {
  static std::mutex mutex;   // ranks of a job are threads
  const std::lock_guard lock(mutex);
  ++tests::host_cudnn().opened;
  if (!tests::host_cudnn().is_there) throw std::runtime_error("cuDNN is not there: played");
  return std::make_unique<tests::HostLibrary>();
}

}  // namespace fabricast::runtime::cuda
