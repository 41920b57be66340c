// What a backend built without cuDNN has to say.
#include <stdexcept>

#include "runtime/cuda/fused_attention.hpp"

namespace fabricast::runtime::cuda {

std::unique_ptr<FusedAttentionLibrary> open_cudnn() { throw std::runtime_error("the CUDA backend was built without cuDNN's headers (9.8 or newer)"); }

}  // namespace fabricast::runtime::cuda
