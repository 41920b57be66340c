// Every member ends with what the collective promises, and the lowered phases claim exactly the bytes that this took.
#include <doctest/doctest.h>

#include <functional>

#include "tests/hardware_models/group.hpp"
#include "hardware_models/collectives.hpp"
#include "tests/hardware_models/replay.hpp"

namespace fabricast::collective_conservation_test {

using namespace fabricast;
using namespace fabricast::tests;
using hw::CollectiveAlgorithm;
using hw::CollectiveKind;

namespace {

std::uint64_t bit(std::size_t member) { return std::uint64_t{1} << member; }
std::uint64_t everyone(const Group& group) { return bit(group.size()) - 1; }

std::vector<Group> all_groups() {
  std::vector<Group> groups = even_groups();
  for (const Group& group : uneven_groups()) groups.push_back(group);
  return groups;
}

/// One unit per member, of sizes that differ.
std::vector<Bytes> unequal_shards(const Group& group) {
  std::vector<Bytes> shards;
  for (std::size_t i = 0; i < group.size(); ++i) shards.push_back(Bytes(static_cast<std::int64_t>(100 + 37 * i * i)));
  return shards;
}

/// Every member starts with its own contribution to every unit.
Replay everyone_contributes(const Group& group, const std::vector<Bytes>& units) {
  Replay replay(group.size(), units);
  for (std::size_t member = 0; member < group.size(); ++member) {
    for (std::size_t unit = 0; unit < units.size(); ++unit) replay.held(member, unit) = bit(member);
  }
  return replay;
}

void expect_every_unit_complete_everywhere(Replay& replay, const Group& group, std::size_t units,
                                           const std::function<std::uint64_t(std::size_t)>& complete) {
  for (std::size_t member = 0; member < group.size(); ++member) {
    for (std::size_t unit = 0; unit < units; ++unit) CHECK(replay.held(member, unit) == complete(unit));
  }
}

}  // namespace

TEST_CASE("a ring all-gather of unequal shards leaves every shard at every member") {
  for (const Group& group : all_groups()) {
    const auto shards = unequal_shards(group);
    const auto phases = lower(CollectiveKind::all_gather, CollectiveAlgorithm::ring, group.node_of, shards);
    REQUIRE(phases.size() == 1);
    Replay replay(group.size(), shards);
    for (std::size_t member = 0; member < group.size(); ++member) replay.held(member, member) = bit(member);
    replay.gather(phases[0], [](std::size_t member, std::size_t unit) { return member == unit; });
    replay.expect_claimed(phases[0]);
    expect_every_unit_complete_everywhere(replay, group, group.size(), bit);
  }
}

TEST_CASE("a ring reduce-scatter of unequal shards adds every contribution once, at the shard's owner") {
  for (const Group& group : all_groups()) {
    const auto shards = unequal_shards(group);
    const auto phases = lower(CollectiveKind::reduce_scatter, CollectiveAlgorithm::ring, group.node_of, shards);
    REQUIRE(phases.size() == 1);
    Replay replay = everyone_contributes(group, shards);
    replay.reduce(phases[0], [](std::size_t member, std::size_t unit) { return member == unit; });
    replay.expect_claimed(phases[0]);
    for (std::size_t member = 0; member < group.size(); ++member) CHECK(replay.held(member, member) == everyone(group));
  }
}

TEST_CASE("a ring all-reduce leaves the whole sum at every member") {
  for (const Group& group : all_groups()) {
    const std::vector<Bytes> units(group.size(), Bytes(60));
    const std::vector<Bytes> size = {Bytes(60 * static_cast<std::int64_t>(group.size()))};
    const auto phases = lower(CollectiveKind::all_reduce, CollectiveAlgorithm::ring, group.node_of, size);
    REQUIRE(phases.size() == 1);
    Replay replay = everyone_contributes(group, units);
    const auto owns = [](std::size_t member, std::size_t unit) { return member == unit; };
    replay.reduce(phases[0], owns);
    replay.gather(phases[0], owns);
    replay.expect_claimed(phases[0]);
    expect_every_unit_complete_everywhere(replay, group, units.size(), [&](std::size_t) { return everyone(group); });
  }
}

TEST_CASE("a ring broadcast brings the root's data to every member") {
  for (const Group& group : all_groups()) {
    const std::vector<Bytes> size = {Bytes(1000)};
    const auto phases = lower(CollectiveKind::broadcast, CollectiveAlgorithm::ring, group.node_of, size);
    REQUIRE(phases.size() == 1);
    Replay replay(group.size(), size);
    replay.held(0, 0) = bit(0);
    replay.gather(phases[0], [](std::size_t member, std::size_t) { return member == 0; });
    replay.expect_claimed(phases[0]);
    expect_every_unit_complete_everywhere(replay, group, 1, bit);
  }
}

// Units: shard a of S/g for local index a, cut into a piece for each node; piece (node, local) is owned by that member.
TEST_CASE("a two-level all-reduce leaves the whole sum at every member") {
  for (const Group& group : multi_node_even_groups()) {
    const std::vector<Bytes> units(group.size(), Bytes(60));
    const std::vector<Bytes> size = {Bytes(60 * static_cast<std::int64_t>(group.size()))};
    const auto phases = lower(CollectiveKind::all_reduce, CollectiveAlgorithm::two_level, group.node_of, size);
    const bool in_node = group.members_per_node > 1;
    REQUIRE(phases.size() == (in_node ? 3 : 1));
    Replay replay = everyone_contributes(group, units);
    const auto same_local = [&](std::size_t member, std::size_t unit) { return group.local[member] == group.local[unit]; };
    const auto owns = [](std::size_t member, std::size_t unit) { return member == unit; };
    if (in_node) {
      replay.reduce(phases.front(), same_local);
      replay.expect_claimed(phases.front());
    }
    replay.reduce(phases[in_node], owns);
    replay.gather(phases[in_node], owns);
    replay.expect_claimed(phases[in_node]);
    if (in_node) {
      replay.gather(phases.back(), same_local);
      replay.expect_claimed(phases.back());
    }
    expect_every_unit_complete_everywhere(replay, group, units.size(), [&](std::size_t) { return everyone(group); });
  }
}

TEST_CASE("a two-level all-gather of unequal shards leaves every shard at every member") {
  for (const Group& group : multi_node_even_groups()) {
    const auto shards = unequal_shards(group);
    const auto phases = lower(CollectiveKind::all_gather, CollectiveAlgorithm::two_level, group.node_of, shards);
    REQUIRE(phases.size() == (group.members_per_node > 1 ? 2 : 1));
    Replay replay(group.size(), shards);
    for (std::size_t member = 0; member < group.size(); ++member) replay.held(member, member) = bit(member);
    replay.gather(phases[0], [](std::size_t member, std::size_t unit) { return member == unit; });
    replay.expect_claimed(phases[0]);
    if (phases.size() > 1) {
      replay.gather(phases[1], [&](std::size_t member, std::size_t unit) { return group.local[member] == group.local[unit]; });
      replay.expect_claimed(phases[1]);
    }
    expect_every_unit_complete_everywhere(replay, group, group.size(), bit);
  }
}

TEST_CASE("a two-level reduce-scatter of unequal shards adds every contribution once, at the shard's owner") {
  for (const Group& group : multi_node_even_groups()) {
    const auto shards = unequal_shards(group);
    const auto phases = lower(CollectiveKind::reduce_scatter, CollectiveAlgorithm::two_level, group.node_of, shards);
    REQUIRE(phases.size() == (group.members_per_node > 1 ? 2 : 1));
    Replay replay = everyone_contributes(group, shards);
    if (phases.size() > 1) {
      replay.reduce(phases[0], [&](std::size_t member, std::size_t unit) { return group.local[member] == group.local[unit]; });
      replay.expect_claimed(phases[0]);
    }
    replay.reduce(phases.back(), [](std::size_t member, std::size_t unit) { return member == unit; });
    replay.expect_claimed(phases.back());
    for (std::size_t member = 0; member < group.size(); ++member) CHECK(replay.held(member, member) == everyone(group));
  }
}

// Units: a share of S/g for each local index. The root's node gets them all first, the other nodes one per member.
TEST_CASE("a two-level broadcast brings the root's data to every member") {
  for (const Group& group : multi_node_even_groups()) {
    const std::vector<Bytes> units(group.members_per_node, Bytes(60));
    const std::vector<Bytes> size = {Bytes(60 * static_cast<std::int64_t>(units.size()))};
    const auto phases = lower(CollectiveKind::broadcast, CollectiveAlgorithm::two_level, group.node_of, size);
    const bool in_node = group.members_per_node > 1;
    REQUIRE(phases.size() == (in_node ? 3 : 1));
    Replay replay(group.size(), units);
    for (std::size_t unit = 0; unit < units.size(); ++unit) replay.held(0, unit) = bit(0);
    if (in_node) {
      replay.gather(phases.front(), [](std::size_t member, std::size_t) { return member == 0; });
      replay.expect_claimed(phases.front());
    }
    replay.gather(phases[in_node], [&](std::size_t member, std::size_t unit) {
      return group.node[member] == group.node[0] && group.local[member] == unit;
    });
    replay.expect_claimed(phases[in_node]);
    if (in_node) {
      replay.gather(phases.back(), [&](std::size_t member, std::size_t unit) { return group.local[member] == unit; });
      replay.expect_claimed(phases.back());
    }
    expect_every_unit_complete_everywhere(replay, group, units.size(), [](std::size_t) { return bit(0); });
  }
}

// Piece (s, d) goes from s to the member of s's node with d's local index, and from there to d.
TEST_CASE("a hierarchical all-to-all delivers every piece, and claims what that moves") {
  for (const Group& group : multi_node_even_groups()) {
    const std::size_t n = group.size();
    std::vector<Bytes> counts;
    for (std::size_t i = 0; i < n * n; ++i) counts.push_back(Bytes(static_cast<std::int64_t>(1 + i * i % 97)));
    const auto phases = lower(CollectiveKind::all_to_all, CollectiveAlgorithm::hierarchical, group.node_of, counts);
    REQUIRE(phases.size() == (group.members_per_node > 1 ? 2 : 1));
    std::vector<std::size_t> at;  // by piece
    for (std::size_t piece = 0; piece < n * n; ++piece) at.push_back(piece / n);
    for (const hw::Phase& phase : phases) {
      const bool crosses = &phase == &phases.back();
      for (const hw::Transfer& transfer : phase.transfers) {
        const auto source = static_cast<std::size_t>(transfer.source), destination = static_cast<std::size_t>(transfer.destination);
        CHECK((group.node[source] != group.node[destination]) == crosses);
        Bytes moved{};
        for (std::size_t piece = 0; piece < n * n; ++piece) {
          const bool goes = crosses ? piece % n == destination : group.local[piece % n] == group.local[destination];
          if (at[piece] != source || !goes) continue;
          at[piece] = destination;
          moved += counts[piece];
        }
        CHECK(transfer.bytes == moved);
      }
    }
    for (std::size_t piece = 0; piece < n * n; ++piece) CHECK(at[piece] == piece % n);
  }
}

}  // namespace fabricast::collective_conservation_test
