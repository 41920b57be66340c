// Disjoint sets over 0 … n-1: union by size, path halving. Knows nothing of what is joined.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

namespace fabricast::sim {

class DisjointSets {
 public:
  /// Every element alone.
  void reset(std::size_t elements) {
    parent_.resize(elements);
    size_.assign(elements, 1);
    for (std::size_t i = 0; i < elements; ++i) parent_[i] = static_cast<std::int32_t>(i);
  }

  [[nodiscard]] std::int32_t find(std::int32_t element) {
    while (parent_[element] != element) element = parent_[element] = parent_[parent_[element]];
    return element;
  }

  /// True if they were apart.
  bool join(std::int32_t a, std::int32_t b) {
    a = find(a);
    b = find(b);
    if (a == b) return false;
    if (size_[a] < size_[b]) std::swap(a, b);
    parent_[b] = a;
    size_[a] += size_[b];
    return true;
  }

 private:
  std::vector<std::int32_t> parent_, size_;
};

}  // namespace fabricast::sim
