// A TCP port of this machine that nobody listened on a moment ago.
#pragma once

#include <arpa/inet.h>
#include <sys/socket.h>

#include <cstdint>
#include <stdexcept>

#include "runtime/tcp_rendezvous.hpp"

namespace fabricast::tests {

inline std::uint16_t free_port() {
  const runtime::Socket socket(::socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const place = reinterpret_cast<sockaddr*>(&address);
  if (::bind(socket.descriptor(), place, size) != 0 || ::getsockname(socket.descriptor(), place, &size) != 0) {
    throw std::runtime_error("no free port");
  }
  return ntohs(address.sin_port);
}

}  // namespace fabricast::tests
