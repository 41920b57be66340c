#include "runtime/tcp_rendezvous.hpp"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <sys/socket.h>

#include <chrono>
#include <cmath>
#include <functional>
#include <thread>

#include "runtime/executor.hpp"
#include "tests/runtime/free_port.hpp"

namespace fabricast::tcp_rendezvous_test {

using namespace fabricast;
using namespace fabricast::runtime;

namespace {

/// Each rank in a thread of its own; what each one threw, or nothing.
std::vector<std::string> together(std::int32_t ranks, Seconds patience, const std::function<void(TcpRendezvous&)>& body, std::int32_t absent = -1) {
  const std::uint16_t port = tests::free_port();
  std::vector<std::string> thrown(static_cast<std::size_t>(ranks));
  std::vector<std::jthread> threads;
  for (std::int32_t r = 0; r < ranks; ++r) {
    if (r == absent) continue;
    threads.emplace_back([&, r] {
      try {
        TcpRendezvous rendezvous({"127.0.0.1", port, Rank{r}, ranks, patience});
        body(rendezvous);
      } catch (const std::exception& error) {
        thrown[static_cast<std::size_t>(r)] = error.what();
      }
    });
  }
  threads.clear();
  return thrown;
}

}  // namespace

TEST_CASE("ranks leave with everybody's bytes, by rank, round after round, clocks of one machine agree") {
  std::vector<int> wrong(4, 0);
  const auto thrown = together(4, Seconds(20), [&](TcpRendezvous& meeting) {
    const auto own = static_cast<std::size_t>(meeting.rank().value);
    for (std::size_t round = 0; round < 3; ++round) {
      const Message message(own * 1000 + round, static_cast<std::byte>(own + 1));
      const std::vector<Message> all = meeting.all_gather(message);
      for (std::size_t r = 0; r < 4; ++r) wrong[own] += all.at(r) != Message(r * 1000 + round, static_cast<std::byte>(r + 1));
    }
    wrong[own] += std::abs(meeting.clock_offset().value()) > 0.05;
    meeting.compare_clocks();
    wrong[own] += std::abs(meeting.clock_offset().value()) > 0.05;
    wrong[own] += meeting.all_gather(std::as_bytes(std::span(&own, 1))).size() != 4;
  });
  CHECK(thrown == std::vector<std::string>(4));
  CHECK(wrong == std::vector<int>(4, 0));
}

TEST_CASE("a rank that does not come is named by those who wait") {
  const auto thrown = together(3, Seconds(0.5), [](TcpRendezvous&) {}, 2);
  CAPTURE(thrown[0]);
  CHECK(thrown[0].find("these ranks have not come: 2") != std::string::npos);
  CHECK_FALSE(thrown[1].empty());
}

// A queue of connections that is full: Linux lets further ones wait, as those to a machine that a firewall hides.
TEST_CASE("rank 0 that does not answer is not waited for longer than told") {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(tests::free_port());
  const auto* const at = reinterpret_cast<const sockaddr*>(&address);
  const Socket door(::socket(AF_INET, SOCK_STREAM, 0));
  REQUIRE(::bind(door.descriptor(), at, sizeof address) == 0);
  REQUIRE(::listen(door.descriptor(), 0) == 0);
  std::vector<Socket> queue;
  for (int i = 0; i < 4; ++i) {
    queue.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    (void)::connect(queue.back().descriptor(), at, sizeof address);
  }
  const auto begin = std::chrono::steady_clock::now();
  CHECK_THROWS_WITH_AS(TcpRendezvous({"127.0.0.1", ntohs(address.sin_port), Rank{1}, 2, Seconds(0.5)}),
                       doctest::Contains("rank 1 does not reach rank 0 at 127.0.0.1"), ExecutionError);
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(5));
}

TEST_CASE("a rank that leaves is named to those who meet without it") {
  const auto thrown = together(3, Seconds(20), [](TcpRendezvous& meeting) {
    if (meeting.rank().value != 1) (void)meeting.all_gather({});
  });
  for (const std::size_t r : {std::size_t{0}, std::size_t{2}}) {
    CAPTURE(thrown[r]);
    CHECK(thrown[r].find("rank 1") != std::string::npos);
  }
}

}  // namespace fabricast::tcp_rendezvous_test
