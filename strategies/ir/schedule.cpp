#include "strategies/ir/schedule.hpp"

#include <stdexcept>

namespace fabricast::ir {

namespace {

struct NameKind {
  template <class Rows> std::string_view operator()(const hw::Gemm<Rows>&) const { return "gemm"; }
  template <class Rows> std::string_view operator()(const hw::GroupedGemm<Rows>&) const { return "grouped_gemm"; }
  template <class Rows> std::string_view operator()(const hw::Attention<Rows>&) const { return "attention"; }
  template <class Rows> std::string_view operator()(const hw::Embedding<Rows>&) const { return "embedding"; }
  template <class Rows> std::string_view operator()(const hw::RmsNorm<Rows>&) const { return "rms_norm"; }
  template <class Rows> std::string_view operator()(const hw::Rope<Rows>&) const { return "rope"; }
  template <class Rows> std::string_view operator()(const hw::ResidualAdd<Rows>&) const { return "residual_add"; }
  template <class Rows> std::string_view operator()(const hw::Activation<Rows>&) const { return "activation"; }
  template <class Rows> std::string_view operator()(const hw::Router<Rows>&) const { return "router"; }
  template <class Rows> std::string_view operator()(const hw::Permute<Rows>&) const { return "permute"; }
  template <class Rows> std::string_view operator()(const hw::WeightedSum<Rows>&) const { return "weighted_sum"; }
  std::string_view operator()(const Collective& collective) const { return hw::name_of(collective.kind); }
  std::string_view operator()(const AllToAll&) const { return "all_to_all"; }
  std::string_view operator()(const Send&) const { return "send"; }
  std::string_view operator()(const Recv&) const { return "recv"; }
};

}  // namespace

std::string_view name_of(Axis axis) {
  switch (axis) {
    case Axis::tensor: return "tensor";
    case Axis::context: return "context";
    case Axis::data: return "data";
    case Axis::pipeline: return "pipeline";
    case Axis::expert: return "expert";
    case Axis::expert_tensor: return "expert_tensor";
    case Axis::expert_data: return "expert_data";
  }
  throw std::invalid_argument("unknown axis");
}

std::string_view name_of(BufferKind kind) {
  switch (kind) {
    case BufferKind::embedding_weights: return "embedding_weights";
    case BufferKind::attention_weights: return "attention_weights";
    case BufferKind::expert_weights: return "expert_weights";
    case BufferKind::dense_weights: return "dense_weights";
    case BufferKind::router_weights: return "router_weights";
    case BufferKind::norm_weights: return "norm_weights";
    case BufferKind::activations: return "activations";
    case BufferKind::dispatch: return "dispatch";
    case BufferKind::logits: return "logits";
    case BufferKind::input: return "input";
  }
  throw std::invalid_argument("unknown buffer kind");
}

std::string_view kind_of(const Work& work) { return std::visit(NameKind{}, work); }

std::string_view kind_of(const hw::Kernel& kernel) { return std::visit(NameKind{}, kernel); }

bool communicates(const Work& work) {
  return std::holds_alternative<Collective>(work) || std::holds_alternative<AllToAll>(work) || std::holds_alternative<Send>(work) ||
         std::holds_alternative<Recv>(work);
}

}  // namespace fabricast::ir
