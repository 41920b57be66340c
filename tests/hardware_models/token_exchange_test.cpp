// Dispatch and combine that send equal tokens once: how many there are, and what is moved.
#include "hardware_models/token_exchange.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "tests/hardware_models/group.hpp"

namespace fabricast::token_exchange_test {

using namespace fabricast;
using namespace fabricast::tests;
using hw::CollectiveAlgorithm;
using hw::CollectiveKind;
using hw::TokenRouting;

namespace {

constexpr std::int64_t row = 128;

TokenRouting routing(std::int64_t top_k, std::int64_t experts, bool combine = false) { return {Bytes(row), top_k, experts, combine}; }

/// `rows` of each member for each.
std::vector<Bytes> uniform(std::size_t n, std::int64_t rows) { return std::vector<Bytes>(n * n, Bytes(rows * row)); }

std::vector<hw::Phase> lowered(const Group& group, const std::vector<Bytes>& counts, const TokenRouting& tokens) {
  return lower(CollectiveKind::all_to_all, CollectiveAlgorithm::deduplicated, group.node_of, counts, tokens);
}

std::int64_t across(const Group& group, const std::vector<hw::Phase>& phases) {
  std::int64_t bytes = 0;
  for (const hw::Phase& phase : phases) {
    for (const hw::Transfer& t : phase.transfers) bytes += group.node[t.source] != group.node[t.destination] ? t.bytes.value() : 0;
  }
  return bytes;
}

}  // namespace

// Of all pairs of 6 experts, C(3,2)/C(6,2) = 1/5 miss a given 3; C(224,8)/C(256,8) = 0.3361 of all eights miss 32 of 256.
TEST_CASE("distinct tokens are those of a draw without replacement") {
  CHECK(hw::distinct_tokens(10, 10, routing(2, 6)) == doctest::Approx(8));
  double miss = 1;
  for (int i = 0; i < 8; ++i) miss *= (224.0 - i) / (256.0 - i);
  CHECK(hw::distinct_tokens(1000, 1000, routing(8, 256)) == doctest::Approx(1000 * (1 - miss)));
}

// Four experts in two groups, one group chosen by chance: both choices of a token are there, so half of the tokens come to a group and to each
// of its experts; of eight experts in two groups, C(3,2)/C(4,2) = 1/2 of the pairs within a group miss a given one.
TEST_CASE("tokens that may choose from one group of two come to it half as often, and then to fewer experts") {
  TokenRouting limited = routing(2, 4);
  limited.reach = 0.5;
  CHECK(hw::distinct_tokens(100, 100, limited) == doctest::Approx(50));
  CHECK(hw::distinct_tokens(100, 50, limited) == doctest::Approx(50));
  limited.experts = 8;
  CHECK(hw::distinct_tokens(100, 25, limited) == doctest::Approx(25));
}

TEST_CASE("one choice a token is one row a token, all choices are all tokens, and none are none") {
  CHECK(hw::distinct_tokens(100, 37, routing(1, 8)) == doctest::Approx(37));
  CHECK(hw::distinct_tokens(100, 400, routing(4, 8)) == doctest::Approx(100));
  CHECK(hw::distinct_tokens(100, 0, routing(4, 8)) == 0);
  CHECK(hw::distinct_tokens(0, 0, routing(4, 8)) == 0);
}

TEST_CASE("distinct tokens never exceed the rows nor the tokens, and grow with the rows") {
  double before = 0;
  for (std::int64_t rows = 1; rows <= 400; ++rows) {
    const double now = hw::distinct_tokens(100, static_cast<double>(rows), routing(4, 16));
    CHECK(now <= std::min(100.0, static_cast<double>(rows)) * (1 + 1e-12));
    CHECK(now >= before);
    before = now;
  }
}

// Per owner and other node tokens · (1 - C(E - E/N, k)/C(E, k)) rows: 4 nodes of 4, 64 tokens, top-4 of 16: 1 - 495/1820.
TEST_CASE("a token crosses to a node once, however many of its experts are there") {
  const Group group({0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3});
  const std::int64_t tokens = 64 * 1820;
  const auto phases = lowered(group, uniform(16, tokens * 4 / 16), routing(4, 16));
  CHECK(across(group, phases) == 16 * 3 * (64 * (1820 - 495)) * row);
}

TEST_CASE("with one choice a token as many bytes cross as without merging") {
  for (const Group& group : multi_node_even_groups()) {
    const auto counts = uniform(group.size(), 12);
    const auto flat = lower(CollectiveKind::all_to_all, CollectiveAlgorithm::flat, group.node_of, counts);
    const auto n = static_cast<std::int64_t>(group.size());
    CHECK(across(group, lowered(group, counts, routing(1, n))) == across(group, flat));
  }
}

TEST_CASE("a combine is the dispatch backwards: the same transfers turned round, in the opposite order") {
  for (const Group& group : even_groups()) {
    const std::size_t n = group.size();
    const auto experts = static_cast<std::int64_t>(2 * n);
    std::vector<Bytes> counts, turned(n * n);
    for (std::size_t i = 0; i < n * n; ++i) counts.push_back(Bytes(static_cast<std::int64_t>(10 + 7 * i % 5) * row));
    for (std::size_t i = 0; i < n * n; ++i) turned[i % n * n + i / n] = counts[i];
    const auto dispatch = lowered(group, counts, routing(2, experts)), combine = lowered(group, turned, routing(2, experts, true));
    REQUIRE(dispatch.size() == combine.size());
    for (std::size_t phase = 0; phase < dispatch.size(); ++phase) {
      std::map<std::pair<std::int32_t, std::int32_t>, Bytes> there, back;
      for (const hw::Transfer& t : dispatch[phase].transfers) there[{t.source, t.destination}] += t.bytes;
      for (const hw::Transfer& t : combine[combine.size() - 1 - phase].transfers) back[{t.destination, t.source}] += t.bytes;
      CHECK(there == back);
    }
  }
}

TEST_CASE("crossings stay on the rails, and every member with experts gets its tokens") {
  const Group group({0, 0, 1, 1});
  const auto phases = lowered(group, uniform(4, 100), routing(2, 8));
  std::vector<std::int64_t> received(4);
  for (const hw::Phase& phase : phases) {
    for (const hw::Transfer& t : phase.transfers) {
      if (group.node[t.source] != group.node[t.destination]) CHECK(group.local[t.source] == group.local[t.destination]);
      CHECK(t.source != t.destination);
      received[static_cast<std::size_t>(t.destination)] += t.bytes.value();
    }
  }
  for (const std::int64_t bytes : received) CHECK(bytes > 0);
}

}  // namespace fabricast::token_exchange_test
