#include "runtime/cuda/attention.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "runtime/cuda/launch_shape.hpp"
#include "runtime/executor.hpp"

namespace fabricast::runtime::cuda {
namespace {

/// "attention of 2 sequences of 10000, 16 heads of 128 (4 of keys and values), causal"
std::string text_of(const AttentionSizes& s) {
  return fmt::format("attention of {} sequences of {}, {} heads of {}{}{}", s.sequences, s.length, s.heads, s.head_dim,
                     s.kv_heads == s.heads ? "" : fmt::format(" ({} of keys and values)", s.kv_heads), s.causal ? ", causal" : "");
}

/// Whatever the shape; null: nothing. cuDNN has kernels for fp32, too; how they round is not documented.
const char* what_keeps_from_library(const Rows& qkv, const Rows& out) {
  if (!qkv.is_bf16) return "cuDNN is for attention in bf16, not in fp32";
  if (!fits_packs(pack_bytes, {qkv.data, out.data})) return "cuDNN needs rows that start at multiples of 16 bytes";
  return nullptr;
}

}  // namespace

bool Attentions::Less::operator()(const AttentionSizes& a, const AttentionSizes& b) const {
  const auto in_order = [](const AttentionSizes& s) { return std::tie(s.sequences, s.length, s.heads, s.kv_heads, s.head_dim, s.causal); };
  return in_order(a) < in_order(b);
}

Attentions::Attentions(AttentionKernels wanted, std::size_t workspace, std::function<void(const std::string&)> say)
    : wanted_(wanted), workspace_(workspace), say_(std::move(say)) {}

void Attentions::prepare(const Rows& qkv, const AttentionSizes& sizes, const Rows& out, const AttentionPlace& place) {
  if (qkv.rows == 0) return;
  if (FusedAttention* const kernel = fused(qkv, sizes, out)) {
    try {
      kernel->prepare({qkv.data, out.data, place.workspace});
      return;
    } catch (const std::exception& error) {
      use_own(sizes, error.what());
    }
  }
  is_own_used_ = true;
}

void Attentions::run(const Rows& qkv, const AttentionSizes& sizes, const Rows& out, const AttentionPlace& place) {
  if (place.workspace.size() != workspace_) throw std::logic_error("attention without its workspace");
  if (qkv.rows == 0) return;
  if (FusedAttention* const kernel = fused(qkv, sizes, out)) {
    try {
      kernel->run({qkv.data, out.data, place.workspace}, place.stream);
      return;
    } catch (const std::exception& error) {
      use_own(sizes, error.what());
    }
  }
  is_own_used_ = true;
  launch_attention(qkv, sizes, out, place.stream);
}

FusedAttention* Attentions::fused(const Rows& qkv, const AttentionSizes& sizes, const Rows& out) {
  if (wanted_ == AttentionKernels::own) return nullptr;
  if (const char* const why = what_keeps_from_library(qkv, out)) {
    require_own_will_do(why);
    return nullptr;
  }
  const auto known = by_shape_.find(sizes);
  if (known != by_shape_.end()) return known->second.get();
  open_library();
  if (!library_) return nullptr;
  try {
    return (by_shape_[sizes] = library_->choose(sizes, workspace_)).get();
  } catch (const std::exception& error) {
    use_own(sizes, error.what());
  }
  return nullptr;
}

void Attentions::open_library() {
  if (std::exchange(has_asked_for_library_, true)) return;
  try {
    library_ = open_cudnn();
    return;
  } catch (const std::exception& error) {
    why_own_ = error.what();
  }
  require_own_will_do(why_own_);
  if (say_) say_(fmt::format("attention: our own kernel runs, which is slower: {}", why_own_));
}

void Attentions::use_own(const AttentionSizes& sizes, const std::string& why) {
  by_shape_[sizes] = nullptr;
  why_own_ = fmt::format("{}: {}", library_->name(), why);
  require_own_will_do(fmt::format("{}: {}", text_of(sizes), why_own_));
  if (say_) say_(fmt::format("{}: our own kernel runs, which is slower: {}", text_of(sizes), why_own_));
}

void Attentions::require_own_will_do(const std::string& why) const {
  if (wanted_ == AttentionKernels::cudnn) throw BackendUnavailable(why + "; without --attention our own kernel runs");
}

std::string Attentions::used() const {
  const bool is_fused_used = std::any_of(by_shape_.begin(), by_shape_.end(), [](const auto& entry) { return entry.second != nullptr; });
  std::string own = !is_own_used_ ? "" : why_own_.empty() ? "own" : fmt::format("own ({})", why_own_);
  if (!is_fused_used) return own;
  return library_->name() + (is_own_used_ ? " and " + own : "");
}

}  // namespace fabricast::runtime::cuda
