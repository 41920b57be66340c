// A graph of operations as cuDNN's descriptors, and the kernel that cuDNN compiles for it. Launches nothing.
#pragma once

#include <string>

#include "runtime/cuda/attention_graph.hpp"
#include "runtime/cuda/cudnn_api.hpp"

namespace fabricast::runtime::cuda {

/// For which GPU: the one of a handle, or one that a document describes (CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION), for which cuDNN compiles
/// where there is no GPU.
class CudnnTarget {
 public:
  explicit CudnnTarget(const CudnnHandle& handle) : handle_(handle.get()) {}
  /// Throws CudnnError where the document is not one of cuDNN's.
  CudnnTarget(const Cudnn& cudnn, const std::string& json);

  void put_into_graph(CudnnDescriptor& graph) const;
  void put_into_heuristics(CudnnDescriptor& heuristics) const;
  void put_into_plan(CudnnDescriptor& plan) const;

 private:
  void put(CudnnDescriptor& descriptor, cudnnBackendAttributeName_t name) const;
  cudnnHandle_t handle_ = nullptr;
  std::vector<CudnnDescriptor> described_;    // one or none
};

struct CudnnPlan {
  CudnnDescriptor plan;
  std::size_t workspace;
};

/// What cuDNN's unique ids say of a tensor: its number in the graph, from 1.
[[nodiscard]] inline std::int64_t cudnn_id(GraphTensorId tensor) { return tensor + std::int64_t{1}; }

/// The first of cuDNN's suggestions that compiles, always adds up in one order and needs no more workspace. Throws CudnnError, or
/// std::runtime_error where none does: why not the first.
[[nodiscard]] CudnnPlan choose_cudnn_plan(const Cudnn& cudnn, const CudnnTarget& target, const AttentionGraph& graph, std::size_t workspace);

/// What a launch is handed. All that it names must stay where it is as long as this.
[[nodiscard]] CudnnDescriptor cudnn_operands(const Cudnn& cudnn, const std::vector<GraphOperand>& operands, std::span<std::byte> workspace);

}  // namespace fabricast::runtime::cuda
