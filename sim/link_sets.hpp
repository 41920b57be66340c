// Links that traffic joins: disjoint sets over link indices (union by size, path halving). Knows no flows and no rates.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

namespace fabricast::sim {

/// reset() is O(1): entries of earlier rounds are recognised by their stamp, so a round costs only the links that it names.
class LinkSets {
 public:
  explicit LinkSets(std::size_t links) : entries_(links) {}

  void reset() { ++round_; }

  [[nodiscard]] std::int32_t find(std::int32_t link) {
    fresh(link);
    while (entries_[link].parent != link) {
      entries_[link].parent = entries_[entries_[link].parent].parent;
      link = entries_[link].parent;
    }
    return link;
  }

  /// Both arguments are results of find(). Returns the set's new representative.
  std::int32_t join(std::int32_t a, std::int32_t b) {
    if (a == b) return a;
    if (entries_[a].size < entries_[b].size) std::swap(a, b);
    entries_[b].parent = a;
    entries_[a].size += entries_[b].size;
    return a;
  }

 private:
  struct Entry {
    std::int32_t parent = 0, size = 1;
    std::uint64_t round = 0;
  };
  void fresh(std::int32_t link) {
    if (entries_[link].round != round_) entries_[link] = {link, 1, round_};
  }

  std::vector<Entry> entries_;
  std::uint64_t round_ = 0;
};

}  // namespace fabricast::sim
