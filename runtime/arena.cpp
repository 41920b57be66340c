#include "runtime/arena.hpp"

#include <algorithm>
#include <cstring>
#include <new>

namespace fabricast::runtime {

Arena::Arena(Bytes size) : size_(static_cast<std::size_t>(size.value())) {
  constexpr std::size_t page = 4096;
  const std::size_t rounded = std::max(page, (size_ + page - 1) / page * page);  // aligned_alloc takes multiples of the alignment
  memory_.reset(static_cast<std::byte*>(std::aligned_alloc(page, rounded)));
  if (!memory_) throw std::bad_alloc();
  std::memset(memory_.get(), 0xff, rounded);
}

}  // namespace fabricast::runtime
