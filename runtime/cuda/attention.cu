// Launches of the programs of attention_programs.hpp.
#include "runtime/cuda/launch.cuh"

namespace fabricast::runtime::cuda {
namespace {

template <int dims>
void launch_on_tensor_cores(const Rows& qkv, const AttentionSizes& sizes, const Rows& out, StreamHandle stream) {
  using Program = AttendOnTensorCores<dims>;
  launch_rows(Program{elements<Bf16>(qkv), elements<Bf16>(out), sizes}, Program::blocks(sizes), Program::threads, stream);
}

template <class Element>
void launch_simply(const Rows& qkv, const AttentionSizes& sizes, const Rows& out, StreamHandle stream) {
  using Program = AttendSimply<Element>;
  if (sizes.head_dim > Program::largest_head) throw std::invalid_argument("attention: heads of at most 256 elements");
  launch_rows(Program{elements<Element>(qkv), elements<Element>(out), sizes}, sizes.sequences * sizes.length * sizes.heads,
              Program::threads, stream);
}

}  // namespace

void launch_attention(const Rows& qkv, const AttentionSizes& sizes, const Rows& out, StreamHandle stream) {
  if (!qkv.is_bf16) {
    launch_simply<float>(qkv, sizes, out, stream);
  } else if (sizes.head_dim == 128) {
    launch_on_tensor_cores<128>(qkv, sizes, out, stream);
  } else if (sizes.head_dim == 64) {
    launch_on_tensor_cores<64>(qkv, sizes, out, stream);
  } else {
    launch_simply<Bf16>(qkv, sizes, out, stream);
  }
}

}  // namespace fabricast::runtime::cuda
