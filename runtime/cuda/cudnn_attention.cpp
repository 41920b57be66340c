// Attention by cuDNN, on a GPU.
#include <array>
#include <map>

#include "runtime/cuda/cudnn_plan.hpp"
#include "runtime/cuda/fused_attention.hpp"

namespace fabricast::runtime::cuda {
namespace {

class CudnnAttention final : public FusedAttention {
 public:
  CudnnAttention(const Cudnn& cudnn, const CudnnHandle& handle, const AttentionSizes& sizes, std::size_t workspace)
      : cudnn_(cudnn),
        handle_(handle),
        sizes_(sizes),
        graph_(attention_graph(sizes)),
        plan_(choose_cudnn_plan(cudnn, CudnnTarget(handle), graph_, workspace)),
        numbers_(attention_numbers(sizes)) {}

  void prepare(const AttentionMemory& memory) override { (void)operands(memory); }

  void run(const AttentionMemory& memory, CUstream_st* stream) override {
    const CudnnDescriptor& with = operands(memory);
    cudnn_.check(cudnn_.set_stream(handle_.get(), stream));
    cudnn_.check(cudnn_.execute(handle_.get(), plan_.plan.get(), with.get()));
  }

 private:
  /// By addresses: the ops of a step have few.
  const CudnnDescriptor& operands(const AttentionMemory& memory) {
    const std::array<const std::byte*, 3> addresses{memory.qkv, memory.out, memory.workspace.data()};
    const auto known = operands_.find(addresses);
    if (known != operands_.end()) return known->second;
    const auto operands = attention_operands(graph_, sizes_, numbers_, memory.qkv, memory.out);
    return operands_.emplace(addresses, cudnn_operands(cudnn_, operands, memory.workspace)).first->second;
  }

  const Cudnn& cudnn_;
  const CudnnHandle& handle_;
  AttentionSizes sizes_;
  AttentionGraph graph_;
  CudnnPlan plan_;
  AttentionNumbers numbers_;
  std::map<std::array<const std::byte*, 3>, CudnnDescriptor> operands_;
};

class CudnnAttentionLibrary final : public FusedAttentionLibrary {
 public:
  [[nodiscard]] std::string name() const override { return "cuDNN " + cudnn_.version_text(); }
  [[nodiscard]] std::unique_ptr<FusedAttention> choose(const AttentionSizes& sizes, std::size_t workspace) override {
    return std::make_unique<CudnnAttention>(cudnn_, handle_, sizes, workspace);
  }

 private:
  Cudnn cudnn_;
  CudnnHandle handle_{cudnn_};
};

}  // namespace

std::unique_ptr<FusedAttentionLibrary> open_cudnn() { return std::make_unique<CudnnAttentionLibrary>(); }

}  // namespace fabricast::runtime::cuda
