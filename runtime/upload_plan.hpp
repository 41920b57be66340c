// Tables that a device needs, gathered on the host into one block, so that one copy before the first step takes them all. Knows no device.
#pragma once

#include <cstddef>
#include <cstring>
#include <span>
#include <vector>

namespace fabricast::runtime {

class UploadPlan {
 public:
  /// Where the values will lie in the block, a multiple of 16.
  template <class T>
  [[nodiscard]] std::size_t add(std::span<const T> values) {
    constexpr std::size_t alignment = 16;
    const std::size_t offset = (bytes_.size() + alignment - 1) / alignment * alignment;
    bytes_.resize(offset + values.size_bytes());
    if (!values.empty()) std::memcpy(bytes_.data() + offset, values.data(), values.size_bytes());
    return offset;
  }
  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

}  // namespace fabricast::runtime
