// The memory of one rank. Knows no buffers.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <span>

#include "hardware_models/units.hpp"

namespace fabricast::runtime {

/// Aligned to a page. Filled with not-a-numbers (all bits set, in fp32 and in bf16), so that a read before a write shows in the results.
class Arena {
 public:
  Arena() = default;
  /// Throws std::bad_alloc.
  explicit Arena(Bytes size);

  [[nodiscard]] std::span<std::byte> memory() const { return {memory_.get(), size_}; }

 private:
  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }
  };
  std::unique_ptr<std::byte, Free> memory_;
  std::size_t size_ = 0;
};

}  // namespace fabricast::runtime
