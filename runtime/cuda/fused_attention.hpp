// Attention by a library that fuses it: what the backend asks of one. Knows no library.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "runtime/cuda/attention_programs.hpp"

struct CUstream_st;

namespace fabricast::runtime::cuda {

/// bf16, as AttentionSizes has it; and memory that nothing else on another stream uses meanwhile.
struct AttentionMemory {
  std::byte *qkv, *out;
  std::span<std::byte> workspace;
};

/// A kernel for one shape.
class FusedAttention {
 public:
  virtual ~FusedAttention() = default;
  /// What run can make ready for this memory. Launches nothing.
  virtual void prepare(const AttentionMemory& memory) = 0;
  /// Enqueues. Throws std::runtime_error with the library's status.
  virtual void run(const AttentionMemory& memory, CUstream_st* stream) = 0;
};

class FusedAttentionLibrary {
 public:
  virtual ~FusedAttentionLibrary() = default;
  /// "cuDNN 9.19.0"
  [[nodiscard]] virtual std::string name() const = 0;
  /// On the current device, of at most so many bytes of workspace. Compiles it: takes about a second. Throws std::runtime_error with the
  /// library's status where it takes no such shape.
  [[nodiscard]] virtual std::unique_ptr<FusedAttention> choose(const AttentionSizes& sizes, std::size_t workspace) = 0;
};

/// cuDNN, opened for the current device. Throws std::runtime_error: why there is none, in one line.
[[nodiscard]] std::unique_ptr<FusedAttentionLibrary> open_cudnn();

}  // namespace fabricast::runtime::cuda
