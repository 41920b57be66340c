// Which attention runs: a library's fused one where there is one that takes the shape, else our own. Knows no ops and no ranks.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "runtime/cuda/fused_attention.hpp"
#include "runtime/cuda/kernels.hpp"
#include "runtime/cuda_plugin.hpp"

namespace fabricast::runtime::cuda {

/// Where it runs. No other stream uses the workspace meanwhile.
struct AttentionPlace {
  StreamHandle stream;
  std::span<std::byte> workspace;
};

class Attentions {
 public:
  /// All workspaces have the same size. say: a line for the user, where a library is not there, or does not do what was asked of it; may be
  /// null.
  Attentions(AttentionKernels wanted, std::size_t workspace, std::function<void(const std::string&)> say);

  /// Chooses a kernel now, so that no run does. Throws BackendUnavailable where a library was asked for and does not do it.
  void prepare(const Rows& qkv, const AttentionSizes& sizes, const Rows& out, const AttentionPlace& place);
  /// Enqueues.
  void run(const Rows& qkv, const AttentionSizes& sizes, const Rows& out, const AttentionPlace& place);

  /// What computes the shapes so far: "cuDNN 9.19.0", "own", or "cuDNN 9.19.0 and own"; of our own, why, where it is for want of a library.
  /// Empty where there was no attention.
  [[nodiscard]] std::string used() const;

 private:
  struct Less {
    bool operator()(const AttentionSizes& a, const AttentionSizes& b) const;
  };
  /// Null: our own.
  [[nodiscard]] FusedAttention* fused(const Rows& qkv, const AttentionSizes& sizes, const Rows& out);
  void open_library();
  /// Of `sizes` from now on our own. Throws BackendUnavailable where that will not do.
  void use_own(const AttentionSizes& sizes, const std::string& why);
  void require_own_will_do(const std::string& why) const;

  AttentionKernels wanted_;
  std::size_t workspace_;
  std::function<void(const std::string&)> say_;
  bool has_asked_for_library_ = false;
  std::unique_ptr<FusedAttentionLibrary> library_;                             // kernels go before it
  std::map<AttentionSizes, std::unique_ptr<FusedAttention>, Less> by_shape_;   // null: our own
  bool is_own_used_ = false;
  std::string why_own_;                                                        // for want of a library: the last reason
};

}  // namespace fabricast::runtime::cuda
