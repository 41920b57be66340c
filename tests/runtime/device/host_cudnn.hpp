// cuDNN's part of the backend played by the host: a library of fused attention that reads the very graph that cuDNN is given
// (runtime/cuda/attention_graph.hpp), operation by operation, by its sizes and strides. At first it is absent.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "runtime/cuda/attention_graph.hpp"

namespace fabricast::tests {

struct HostCudnn {
  bool is_there = false;
  std::function<std::string(const runtime::cuda::AttentionSizes&)> why_not;   // of a shape that it does not take; empty: it takes it
  bool fails_to_run = false;
  // What was asked of it:
  int opened = 0, chosen = 0, prepared = 0, ran = 0;
};

/// Of all libraries opened; kernels of one thread only.
HostCudnn& host_cudnn();

/// As `how` says, for as long as this lives.
class WithHostCudnn {
 public:
  explicit WithHostCudnn(HostCudnn how = {true, {}, false}) { host_cudnn() = std::move(how); }
  ~WithHostCudnn() { host_cudnn() = {}; }
  WithHostCudnn(const WithHostCudnn&) = delete;
  WithHostCudnn& operator=(const WithHostCudnn&) = delete;
};

/// What the graph says, on its operands.
void interpret(const runtime::cuda::AttentionGraph& graph, const std::vector<runtime::cuda::GraphOperand>& operands);

}  // namespace fabricast::tests
