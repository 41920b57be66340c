#include "runtime/tcp_rendezvous.hpp"

#include <doctest/doctest.h>

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
