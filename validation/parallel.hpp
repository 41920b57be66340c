// Work on several threads whose results do not depend on how many there are. Knows no work.
#pragma once

#include <cstddef>
#include <functional>

namespace fabricast::validation {

/// Calls work(i) for all i < count, each once, in ascending order as threads come free; at most `threads` at a time (at least 1). Once a call has
/// thrown no other begins, and what the call of the least i threw is thrown.
void for_each_index(std::size_t count, std::size_t threads, const std::function<void(std::size_t)>& work);

}  // namespace fabricast::validation
