#include "runtime/cuda/cudnn_plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "runtime/cuda/launch_shape.hpp"

namespace fabricast::runtime::cuda {
namespace {

constexpr auto of_descriptor = CUDNN_TYPE_BACKEND_DESCRIPTOR;

cudnnDataType_t data_type(GraphTensor::Type type) {
  switch (type) {
    case GraphTensor::Type::bf16: return CUDNN_DATA_BFLOAT16;
    case GraphTensor::Type::fp32: return CUDNN_DATA_FLOAT;
    case GraphTensor::Type::int32: return CUDNN_DATA_INT32;
    case GraphTensor::Type::boolean: return CUDNN_DATA_BOOLEAN;
  }
  throw std::logic_error("a tensor of no type");
}

CudnnDescriptor tensor_descriptor(const Cudnn& cudnn, const GraphTensor& tensor, GraphTensorId id) {
  CudnnDescriptor descriptor(cudnn, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  descriptor.set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, data_type(tensor.type));
  descriptor.set(CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, std::span<const std::int64_t>(tensor.sizes));
  descriptor.set(CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, std::span<const std::int64_t>(tensor.strides));
  descriptor.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, cudnn_id(id));
  descriptor.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, pack_bytes);
  descriptor.set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, tensor.place == GraphTensor::Place::between);
  descriptor.set(CUDNN_ATTR_TENSOR_IS_BY_VALUE, CUDNN_TYPE_BOOLEAN, tensor.place == GraphTensor::Place::value);
  descriptor.finalize();
  return descriptor;
}

/// The graph's operations, in its order, with all that they refer to.
class Operations {
 public:
  Operations(const Cudnn& cudnn, const AttentionGraph& graph) : cudnn_(cudnn) {
    for (std::size_t i = 0; i < graph.tensors.size(); ++i) {
      tensors_.push_back(tensor_descriptor(cudnn, graph.tensors[i], static_cast<GraphTensorId>(i)));
    }
    for (const GraphNode& node : graph.nodes) add(node);
  }
  [[nodiscard]] std::vector<cudnnBackendDescriptor_t> all() const {
    std::vector<cudnnBackendDescriptor_t> all;
    for (const CudnnDescriptor& operation : operations_) all.push_back(operation.get());
    return all;
  }

 private:
  void add(const GraphNode& node) {
    constexpr std::int64_t rows = 2, columns = 3;   // dimensions
    switch (node.operation) {
      case GraphOperation::product: return add_product(node);
      case GraphOperation::highest: return add_reduction(CUDNN_REDUCE_TENSOR_MAX, node);
      case GraphOperation::sum: return add_reduction(CUDNN_REDUCE_TENSOR_ADD, node);
      case GraphOperation::row: return add_elementwise(CUDNN_POINTWISE_GEN_INDEX, node, CUDNN_DATA_FLOAT, rows);
      case GraphOperation::column: return add_elementwise(CUDNN_POINTWISE_GEN_INDEX, node, CUDNN_DATA_FLOAT, columns);
      case GraphOperation::at_least: return add_elementwise(CUDNN_POINTWISE_CMP_GE, node, CUDNN_DATA_BOOLEAN);
      case GraphOperation::select: return add_elementwise(CUDNN_POINTWISE_BINARY_SELECT, node);
      case GraphOperation::times: return add_elementwise(CUDNN_POINTWISE_MUL, node);
      case GraphOperation::minus: return add_elementwise(CUDNN_POINTWISE_SUB, node);
      case GraphOperation::exp: return add_elementwise(CUDNN_POINTWISE_EXP, node);
      case GraphOperation::log: return add_elementwise(CUDNN_POINTWISE_LOG, node);
      case GraphOperation::plus: return add_elementwise(CUDNN_POINTWISE_ADD, node);
      case GraphOperation::divide: return add_elementwise(CUDNN_POINTWISE_DIV, node);
    }
  }

  void add_product(const GraphNode& node) {
    CudnnDescriptor& how = kept(CUDNN_BACKEND_MATMUL_DESCRIPTOR);
    how.set(CUDNN_ATTR_MATMUL_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT);
    how.finalize();
    CudnnDescriptor operation(cudnn_, CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR);
    operation.set(CUDNN_ATTR_OPERATION_MATMUL_DESC, how);
    operation.set(CUDNN_ATTR_OPERATION_MATMUL_ADESC, tensor(node.in[0]));
    operation.set(CUDNN_ATTR_OPERATION_MATMUL_BDESC, tensor(node.in[1]));
    operation.set(CUDNN_ATTR_OPERATION_MATMUL_CDESC, tensor(node.out));
    keep(std::move(operation));
  }

  void add_reduction(cudnnReduceTensorOp_t reduction, const GraphNode& node) {
    CudnnDescriptor& how = kept(CUDNN_BACKEND_REDUCTION_DESCRIPTOR);
    how.set(CUDNN_ATTR_REDUCTION_OPERATOR, CUDNN_TYPE_REDUCTION_OPERATOR_TYPE, reduction);
    how.set(CUDNN_ATTR_REDUCTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT);
    how.finalize();
    CudnnDescriptor operation(cudnn_, CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR);
    operation.set(CUDNN_ATTR_OPERATION_REDUCTION_DESC, how);
    operation.set(CUDNN_ATTR_OPERATION_REDUCTION_XDESC, tensor(node.in[0]));
    operation.set(CUDNN_ATTR_OPERATION_REDUCTION_YDESC, tensor(node.out));
    keep(std::move(operation));
  }

  void add_elementwise(cudnnPointwiseMode_t mode, const GraphNode& node, cudnnDataType_t computed_in = CUDNN_DATA_FLOAT,
                       std::optional<std::int64_t> axis = {}) {
    CudnnDescriptor& how = kept(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
    how.set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, mode);
    how.set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, computed_in);
    if (axis) how.set(CUDNN_ATTR_POINTWISE_AXIS, CUDNN_TYPE_INT64, *axis);
    how.finalize();
    constexpr cudnnBackendAttributeName_t operands[] = {CUDNN_ATTR_OPERATION_POINTWISE_XDESC, CUDNN_ATTR_OPERATION_POINTWISE_BDESC,
                                                        CUDNN_ATTR_OPERATION_POINTWISE_TDESC};
    CudnnDescriptor operation(cudnn_, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    operation.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, how);
    for (std::size_t i = 0; i < node.in.size() && node.in[i] != no_tensor; ++i) operation.set(operands[i], tensor(node.in[i]));
    operation.set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, tensor(node.out));
    keep(std::move(operation));
  }

  [[nodiscard]] const CudnnDescriptor& tensor(GraphTensorId id) const { return tensors_.at(static_cast<std::size_t>(id)); }
  CudnnDescriptor& kept(cudnnBackendDescriptorType_t type) { return settings_.emplace_back(cudnn_, type); }
  void keep(CudnnDescriptor operation) {
    operation.finalize();
    operations_.push_back(std::move(operation));
  }

  const Cudnn& cudnn_;
  std::vector<CudnnDescriptor> tensors_, settings_, operations_;
};

bool always_adds_up_alike(const CudnnDescriptor& config) {
  for (const CudnnDescriptor& engine : config.descriptors(CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_BACKEND_ENGINE_DESCRIPTOR)) {
    const auto notes = engine.numerical_notes();
    if (std::find(notes.begin(), notes.end(), CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC) != notes.end()) return false;
  }
  return true;
}

}  // namespace

CudnnTarget::CudnnTarget(const Cudnn& cudnn, const std::string& json) {
  CudnnDescriptor& device = described_.emplace_back(cudnn, CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
  device.set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, std::span<const char>(json));
  device.finalize();
}

// Newer versions of cuDNN ask for a handle nowhere but take one everywhere; older ones need it.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
void CudnnTarget::put_into_graph(CudnnDescriptor& graph) const {
  if (handle_) graph.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, handle_);
}

void CudnnTarget::put_into_plan(CudnnDescriptor& plan) const {
  if (handle_) plan.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, handle_);
  put(plan, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP);
}
#pragma GCC diagnostic pop

void CudnnTarget::put_into_heuristics(CudnnDescriptor& heuristics) const { put(heuristics, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP); }

void CudnnTarget::put(CudnnDescriptor& descriptor, cudnnBackendAttributeName_t name) const {
  for (const CudnnDescriptor& device : described_) descriptor.set(name, device);
}

CudnnPlan choose_cudnn_plan(const Cudnn& cudnn, const CudnnTarget& target, const AttentionGraph& graph, std::size_t workspace) {
  const Operations operations(cudnn, graph);
  CudnnDescriptor whole(cudnn, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  target.put_into_graph(whole);
  whole.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, of_descriptor, std::span<const cudnnBackendDescriptor_t>(operations.all()));
  whole.finalize();
  std::string why_not;   // the first reason: its best kernel's
  const auto pass_over = [&](const std::string& why) {
    if (why_not.empty()) why_not = why;
  };
  for (const cudnnBackendHeurMode_t mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
    CudnnDescriptor heuristics(cudnn, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    heuristics.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, whole);
    heuristics.set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, mode);
    target.put_into_heuristics(heuristics);
    heuristics.finalize();
    const auto configs = heuristics.descriptors(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    if (configs.empty()) pass_over(cudnn.last_words());
    for (const CudnnDescriptor& config : configs) {
      try {
        if (!always_adds_up_alike(config)) {
          pass_over("its kernel adds up in any order");
          continue;
        }
        CudnnDescriptor plan(cudnn, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
        plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config);
        target.put_into_plan(plan);
        plan.finalize();
        const auto needed = static_cast<std::size_t>(plan.number(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE));
        if (needed <= workspace) return {std::move(plan), needed};
        pass_over(fmt::format("its kernel needs {} bytes of workspace, there are {}", needed, workspace));
      } catch (const CudnnError& error) {
        pass_over(error.what());
      }
    }
  }
  throw std::runtime_error(why_not.empty() ? "it has no kernel" : why_not);
}

CudnnDescriptor cudnn_operands(const Cudnn& cudnn, const std::vector<GraphOperand>& operands, std::span<std::byte> workspace) {
  std::vector<std::int64_t> ids;
  std::vector<void*> places;
  for (const GraphOperand& operand : operands) {
    ids.push_back(cudnn_id(operand.tensor));
    places.push_back(operand.place);
  }
  CudnnDescriptor pack(cudnn, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, std::span<const std::int64_t>(ids));
  pack.set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, std::span<void* const>(places));
  pack.set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, static_cast<void*>(workspace.data()));
  pack.finalize();
  return pack;
}

}  // namespace fabricast::runtime::cuda
