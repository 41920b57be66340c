// Trees, and collectives that switches reduce: structure and bytes of what they are lowered to.
#include <doctest/doctest.h>

#include <map>
#include <vector>

#include "hardware_models/collective_lowering.hpp"
#include "hardware_models/collectives.hpp"
#include "tests/hardware_models/group.hpp"

namespace fabricast::in_network_lowering_test {

using namespace fabricast;
using namespace fabricast::tests;
using hw::CollectiveAlgorithm;
using hw::CollectiveKind;

namespace {

std::vector<hw::Phase> all_reduce(CollectiveAlgorithm algorithm, const Group& group, std::int64_t size) {
  const std::vector<Bytes> counts = {Bytes(size)};
  return lower(CollectiveKind::all_reduce, algorithm, group.node_of, counts);
}

/// Sent less received, by member (switches under their own numbers).
std::map<std::int32_t, std::int64_t> balance(const std::vector<hw::Phase>& phases) {
  std::map<std::int32_t, std::int64_t> result;
  for (const hw::Phase& phase : phases) {
    for (const hw::Transfer& transfer : phase.transfers) {
      result[transfer.source] += transfer.bytes.value();
      result[transfer.destination] -= transfer.bytes.value();
    }
  }
  return result;
}

}  // namespace

TEST_CASE("both trees of a double tree span all places, and none but the roots has children in both") {
  for (std::size_t n = 1; n <= 70; ++n) {
    const hw::DoubleTree trees = hw::double_tree(n);
    std::vector<int> inner(n), roots(n);
    for (const auto& parent : trees.parent) {
      std::vector<bool> has_children(n);
      for (std::size_t p = 0; p < n; ++p) {
        std::size_t at = p, hops = 0;
        while (static_cast<std::size_t>(parent[at]) != at && hops <= n) at = static_cast<std::size_t>(parent[at]), ++hops;
        REQUIRE(static_cast<std::size_t>(parent[at]) == at);
        CHECK(static_cast<std::int32_t>(hops) <= trees.depth);
        if (hops > 0) has_children[static_cast<std::size_t>(parent[p])] = true;
        roots[p] += hops == 0;
      }
      for (std::size_t p = 0; p < n; ++p) inner[p] += has_children[p];
    }
    for (std::size_t p = 0; p < n; ++p) CHECK(inner[p] <= 1 + (roots[p] > 0 || n % 2 == 1));
    // 2^(depth-1) < n: no deeper than a balanced tree below a root of its own
    CHECK((std::int64_t{1} << trees.depth) < static_cast<std::int64_t>(2 * n) + (n == 1));
  }
}

// Up a tree of N nodes and down again each shard crosses N-1 times; in the chains g-1 times: 2S(N-1) and 2S(g-1) per node in all.
TEST_CASE("a tree moves 2S(N-1) across nodes and 2S(g-1) within each") {
  for (const Group& group : even_groups()) {
    const std::int64_t size = 6000;
    std::int64_t within = 0, across = 0;
    for (const hw::Phase& phase : all_reduce(CollectiveAlgorithm::tree, group, size)) {
      for (const hw::Transfer& t : phase.transfers) {
        (group.node[t.source] == group.node[t.destination] ? within : across) += t.bytes.value();
      }
    }
    CHECK(across == 2 * size * static_cast<std::int64_t>(group.nodes - 1));
    CHECK(within == 2 * size * static_cast<std::int64_t>((group.members_per_node - 1) * group.nodes));
  }
}

// S in and its share out of the switch, S/g to the others and S back: both S + S/g; the switch gets as much as it sends.
TEST_CASE("with NVLS every member sends S and its share, and receives as much") {
  const Group group({4, 4, 4, 4, 4});
  std::map<std::int32_t, std::int64_t> sent, received;
  for (const hw::Phase& phase : all_reduce(CollectiveAlgorithm::nvls, group, 1003)) {
    for (const hw::Transfer& t : phase.transfers) {
      sent[t.source] += t.bytes.value();
      received[t.destination] += t.bytes.value();
    }
  }
  for (std::int32_t member = 0; member < 5; ++member) {
    CHECK(sent[member] == 1003 + (member < 3 ? 201 : 200));
    CHECK(received[member] == sent[member]);
  }
  CHECK(sent[hw::node_switch] == received[hw::node_switch]);
}

TEST_CASE("whatever the algorithm, members and switches send as much as they receive in an all-reduce of even shards") {
  for (const Group& group : even_groups()) {
    for (const CollectiveAlgorithm algorithm : {CollectiveAlgorithm::ring, CollectiveAlgorithm::two_level, CollectiveAlgorithm::rail_ring,
                                                CollectiveAlgorithm::nvls, CollectiveAlgorithm::sharp}) {
      if (!applies(CollectiveKind::all_reduce, algorithm, group.node_of)) continue;
      for (const auto& [member, surplus] : balance(all_reduce(algorithm, group, 7200))) CHECK(surplus == 0);
    }
  }
}

// Each rail reduces its share of S on a ring of all n members.
TEST_CASE("a ring per rail crosses nodes on the rails alone, with 2(n-1)/n of the rail's share on every crossing") {
  for (const Group& group : multi_node_even_groups()) {
    const auto n = static_cast<std::int64_t>(group.size()), g = static_cast<std::int64_t>(group.members_per_node);
    const auto phases = all_reduce(CollectiveAlgorithm::rail_ring, group, 720 * n * g);
    REQUIRE(phases.size() == 1);
    std::size_t crossings = 0;
    for (const hw::Transfer& t : phases[0].transfers) {
      CHECK(t.bytes.value() == 2 * (n - 1) * 720);
      if (group.node[t.source] == group.node[t.destination]) continue;
      CHECK(group.local[t.source] == group.local[t.destination]);
      ++crossings;
    }
    CHECK(crossings == group.size());
    CHECK(phases[0].steps == 2 * (n - 1));
  }
}

TEST_CASE("pairwise rounds deliver every piece of an all-to-all once, one destination a round") {
  for (const Group& group : uneven_groups()) {
    const std::size_t n = group.size();
    std::vector<Bytes> counts;
    for (std::size_t i = 0; i < n * n; ++i) counts.push_back(Bytes(static_cast<std::int64_t>(1 + i)));
    const auto phases = lower(CollectiveKind::all_to_all, CollectiveAlgorithm::pairwise, group.node_of, counts);
    CHECK(phases.size() == n - 1);
    std::map<std::pair<std::int32_t, std::int32_t>, std::int64_t> moved;
    for (const hw::Phase& phase : phases) {
      std::vector<int> sends(n), receives(n);
      for (const hw::Transfer& t : phase.transfers) {
        moved[{t.source, t.destination}] += t.bytes.value();
        CHECK(++sends[static_cast<std::size_t>(t.source)] == 1);
        CHECK(++receives[static_cast<std::size_t>(t.destination)] == 1);
      }
    }
    CHECK(moved.size() == n * (n - 1));
    for (const auto& [pair, bytes] : moved) {
      CHECK(bytes == counts[static_cast<std::size_t>(pair.first) * n + static_cast<std::size_t>(pair.second)].value());
    }
  }
}

}  // namespace fabricast::in_network_lowering_test
