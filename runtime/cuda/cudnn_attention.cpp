// Attention by cuDNN, on a GPU.
#include <array>
#include <cmath>
#include <limits>
#include <map>

#include "runtime/cuda/cudnn_plan.hpp"
#include "runtime/cuda/fused_attention.hpp"

namespace fabricast::runtime::cuda {
namespace {

constexpr std::int64_t element_bytes = 2;

class CudnnAttention final : public FusedAttention {
 public:
  CudnnAttention(const Cudnn& cudnn, const CudnnHandle& handle, const AttentionSizes& sizes, std::size_t workspace)
      : cudnn_(cudnn),
        handle_(handle),
        sizes_(sizes),
        graph_(attention_graph(sizes)),
        plan_(choose_cudnn_plan(cudnn, CudnnTarget(handle), graph_, workspace)),
        scale_(1.0F / std::sqrt(static_cast<float>(sizes.head_dim))) {}

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
    return known != operands_.end() ? known->second : operands_.emplace(addresses, new_operands(memory)).first->second;
  }

  [[nodiscard]] CudnnDescriptor new_operands(const AttentionMemory& memory) {
    std::vector<std::int64_t> ids;
    std::vector<void*> places;
    const auto add = [&](GraphTensorId tensor, void* place) {
      ids.push_back(cudnn_id(tensor));
      places.push_back(place);
    };
    add(graph_.query, memory.qkv);
    add(graph_.key, memory.qkv + sizes_.key_column(0) * element_bytes);
    add(graph_.value, memory.qkv + sizes_.value_column(0) * element_bytes);
    add(graph_.out, memory.out);
    add(graph_.scale, &scale_);
    if (graph_.hidden != no_tensor) add(graph_.hidden, &hidden_);
    CudnnDescriptor operands(cudnn_, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    operands.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, std::span<const std::int64_t>(ids));
    operands.set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, std::span<void* const>(places));
    operands.set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, static_cast<void*>(memory.workspace.data()));
    operands.finalize();
    return operands;
  }

  const Cudnn& cudnn_;
  const CudnnHandle& handle_;
  AttentionSizes sizes_;
  AttentionGraph graph_;
  CudnnPlan plan_;
  float scale_, hidden_ = -std::numeric_limits<float>::infinity();   // their addresses are cuDNN's operands
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
