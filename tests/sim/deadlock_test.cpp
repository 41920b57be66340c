#include "sim/deadlock.hpp"

#include <doctest/doctest.h>

#include <string>

#include "sim/simulate.hpp"
#include "strategies/ir/validate.hpp"
#include "tests/sim/replays.hpp"
#include "tests/strategies/ir/hand_made.hpp"

namespace fabricast::deadlock_test {

using namespace fabricast;
using ir::Axis;
using ir::HandMade;

namespace {

/// Rank r of n issues the collective with its successor before the one with its predecessor: a ring in which each waits for the next.
HandMade ring_of_waits(std::int32_t ranks) {
  HandMade made(ranks);
  made.group(Axis::pipeline, [&] {
    std::vector<std::int32_t> all;
    for (std::int32_t r = 0; r < ranks; ++r) all.push_back(r);
    return all;
  }());
  for (std::int32_t r = 1; r < ranks; ++r) made.own_program(r);
  for (std::int32_t r = 0; r < ranks; ++r) {
    const auto program = static_cast<std::size_t>(r);
    made.op_of(program, 0, ir::compute(10));
    made.op_of(program, 1, ir::Send{Axis::pipeline, (r + 1) % ranks, 0, ir::rows(1), 8});
    made.op_of(program, 1, ir::Recv{Axis::pipeline, (r + ranks - 1) % ranks, 0, ir::rows(1), 8});
  }
  return made;
}

std::string message_of(const HandMade& made, std::int64_t ranks) {
  HandMade copy = made;
  try {
    (void)tests::replay(tests::ideal_cluster(1, ranks), copy.schedule());
  } catch (const sim::DeadlockError& error) {
    return error.what();
  }
  return "no deadlock";
}

}  // namespace

TEST_CASE("ranks that wait for each other in a ring are reported, each with its op and the peer that it waits for") {
  const std::string message = message_of(ring_of_waits(3), 3);
  CHECK(message.find("3 ranks") != std::string::npos);
  for (int rank = 0; rank < 3; ++rank) {
    const HandMade made = ring_of_waits(3);
    HandMade copy = made;
    const std::string op = ir::describe(copy.schedule(), Rank{rank}, ir::OpIndex{1});
    CAPTURE(message);
    CHECK(message.find(op + " waits for rank " + std::to_string((rank + 1) % 3)) != std::string::npos);
  }
}

TEST_CASE("a collective that some members reach too late names those that are missing") {
  HandMade made(4);
  made.group(Axis::tensor, {0, 1, 2, 3});
  made.group(Axis::pipeline, {0, 1, 2, 3});
  for (std::int32_t r = 1; r < 4; ++r) made.own_program(r);
  const auto gather = ir::collective(hw::CollectiveKind::all_gather, Axis::tensor, 1);
  // Rank 3 waits for a message that rank 0 sends after the collective that rank 3 joins after the message.
  for (const std::size_t r : {0u, 1u, 2u}) made.op_of(r, 1, gather);
  made.op_of(0, 1, ir::Send{Axis::pipeline, 3, 0, ir::rows(1), 8});
  made.op_of(3, 1, ir::Recv{Axis::pipeline, 0, 0, ir::rows(1), 8});
  made.op_of(3, 1, gather);
  const std::string message = message_of(made, 4);
  CAPTURE(message);
  for (int rank = 0; rank < 3; ++rank) {
    CHECK(message.find(ir::describe(made.schedule(), Rank{rank}, ir::OpIndex{0}) + " waits for rank 3\n") != std::string::npos);
  }
  CHECK(message.find(ir::describe(made.schedule(), Rank{3}, ir::OpIndex{0}) + " waits for rank 0") != std::string::npos);
}

TEST_CASE("a long list of waiting ranks is cut short and counted") {
  const std::string message = message_of(ring_of_waits(20), 20);
  CHECK(message.find("20 ranks") != std::string::npos);
  CHECK(message.find("and 4 more") != std::string::npos);
}

TEST_CASE("the same ring without the first wait runs through") {
  HandMade made = ring_of_waits(2);
  std::swap(made.schedule().programs[0].ops[1], made.schedule().programs[0].ops[2]);
  CHECK(message_of(made, 2) == "no deadlock");
}

}  // namespace fabricast::deadlock_test
