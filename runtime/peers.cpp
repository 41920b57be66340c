#include "runtime/peers.hpp"

#include <fmt/format.h>

namespace fabricast::runtime {

std::optional<std::string> NoPeers::trouble(Seconds still) {
  if (still < stall_timeout_) return std::nullopt;
  return fmt::format("no op ended for {} s and none can", stall_timeout_.value());
}

}  // namespace fabricast::runtime
