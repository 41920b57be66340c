#include "hardware_models/collectives.hpp"

#include <doctest/doctest.h>

#include <map>
#include <stdexcept>

#include "tests/hardware_models/group.hpp"

namespace fabricast::collectives_test {

using namespace fabricast;
using namespace fabricast::tests;
using hw::CollectiveAlgorithm;
using hw::CollectiveKind;
using hw::Phase;
using hw::Transfer;

namespace {

constexpr CollectiveKind all_kinds[] = {CollectiveKind::all_reduce, CollectiveKind::all_gather, CollectiveKind::reduce_scatter,
                                        CollectiveKind::broadcast,  CollectiveKind::all_to_all, CollectiveKind::send};
constexpr CollectiveAlgorithm all_algorithms[] = {CollectiveAlgorithm::ring, CollectiveAlgorithm::two_level, CollectiveAlgorithm::flat,
                                                  CollectiveAlgorithm::hierarchical};

std::vector<Bytes> filled(std::size_t count, std::int64_t bytes) { return std::vector<Bytes>(count, Bytes(bytes)); }

std::vector<Bytes> counts_for(CollectiveKind kind, std::size_t n, std::int64_t bytes) {
  if (kind == CollectiveKind::all_to_all) return filled(n * n, bytes);
  if (kind == CollectiveKind::all_gather || kind == CollectiveKind::reduce_scatter) return filled(n, bytes);
  return filled(1, bytes);
}

std::vector<Bytes> uneven_matrix(std::size_t n) {
  std::vector<Bytes> counts;
  for (std::size_t i = 0; i < n * n; ++i) counts.push_back(Bytes(static_cast<std::int64_t>(i * 7919 % 101)));
  return counts;
}

std::int64_t network_bytes(const std::vector<Phase>& phases, const Group& group) {
  std::int64_t bytes = 0;
  for (const Phase& phase : phases) {
    for (const Transfer& transfer : phase.transfers) {
      if (group.node_of[transfer.source] != group.node_of[transfer.destination]) bytes += transfer.bytes.value();
    }
  }
  return bytes;
}

}  // namespace

// bytes(link) = 2(n-1)/n · S in 2(n-1) dependent steps
TEST_CASE("each link of a ring all-reduce carries 2(n-1)/n of the tensor in 2(n-1) steps") {
  for (const std::size_t n : {2U, 3U, 8U, 64U}) {
    const std::vector<NodeId> node_of(n);
    const auto members = static_cast<std::int64_t>(n);
    const auto phases = lower(CollectiveKind::all_reduce, CollectiveAlgorithm::ring, node_of, filled(1, 1000 * members));
    REQUIRE(phases.size() == 1);
    CHECK(phases[0].steps == 2 * (members - 1));
    CHECK(phases[0].transfers.size() == n);
    for (const Transfer& transfer : phases[0].transfers) CHECK(transfer.bytes == Bytes(2 * (members - 1) * 1000));
  }
}

// Σ bytes = 2(n-1)·S, whatever the remainder of S/n; links differ by the roundings of two shards
TEST_CASE("a ring all-reduce conserves bytes where the tensor does not divide") {
  const std::vector<NodeId> node_of(7);
  for (std::int64_t size = 0; size < 40; ++size) {
    const auto phases = lower(CollectiveKind::all_reduce, CollectiveAlgorithm::ring, node_of, filled(1, size));
    CHECK(total(phases) == 2 * 6 * size);
    for (const Phase& phase : phases) {
      for (const Transfer& transfer : phase.transfers) {
        CHECK(transfer.bytes.value() * 7 > 2 * 6 * size - 14);
        CHECK(transfer.bytes.value() * 7 < 2 * 6 * size + 14);
      }
    }
  }
}

// Σ bytes = (n-1)·S for all-gather, reduce-scatter and broadcast, in n-1 steps
TEST_CASE("ring all-gather, reduce-scatter and broadcast move n-1 tensors in n-1 steps") {
  for (const Group& group : uneven_groups()) {
    const auto n = static_cast<std::int64_t>(group.size());
    std::vector<Bytes> shards;
    std::int64_t size = 0;
    for (std::int64_t i = 0; i < n; ++i) {
      shards.push_back(Bytes(i * i + 5));
      size += i * i + 5;
    }
    for (const CollectiveKind kind : {CollectiveKind::all_gather, CollectiveKind::reduce_scatter}) {
      const auto phases = lower(kind, CollectiveAlgorithm::ring, group.node_of, shards);
      CHECK(total(phases) == (n - 1) * size);
      CHECK(phases.at(0).steps == n - 1);
    }
    const auto broadcast = lower(CollectiveKind::broadcast, CollectiveAlgorithm::ring, group.node_of, filled(1, size));
    CHECK(total(broadcast) == (n - 1) * size);
    CHECK(broadcast.at(0).steps == n - 1);
  }
}

// S = 5 in shards of 2, 2, 1: the link p -> p+1 carries all but shard p, then all but shard p+1
TEST_CASE("a ring all-reduce passes whole shards on where the tensor does not divide") {
  const auto phases = lower(CollectiveKind::all_reduce, CollectiveAlgorithm::ring, std::vector<NodeId>(3), filled(1, 5));
  REQUIRE(phases.at(0).transfers.size() == 3);
  CHECK(phases[0].transfers[0].bytes == Bytes(3 + 3));
  CHECK(phases[0].transfers[1].bytes == Bytes(3 + 4));
  CHECK(phases[0].transfers[2].bytes == Bytes(4 + 3));
}

// Each node is entered once and left once (a chain: entered once, but for the root's).
TEST_CASE("a ring crosses between nodes once per node, in whatever order the members stand") {
  for (const Group& group : {Group({0, 1, 0, 1}), Group({5, 2, 2, 5, 9, 9}), Group({4, 4, 1, 4, 1, 1, 1, 0})}) {
    for (const CollectiveKind kind : {CollectiveKind::all_reduce, CollectiveKind::broadcast}) {
      const auto phases = lower(kind, CollectiveAlgorithm::ring, group.node_of, filled(1, 4096));
      std::size_t crossings = 0;
      for (const Transfer& transfer : phases.at(0).transfers) crossings += group.node[transfer.source] != group.node[transfer.destination];
      CHECK(crossings == (kind == CollectiveKind::broadcast ? group.nodes - 1 : group.nodes));
    }
  }
}

// out of each NIC: 2(N-1)/N · S/g; in the node each way (g-1)/g · S, twice
TEST_CASE("a two-level all-reduce sends 2(N-1)/N of S/g over each NIC") {
  const Group group({0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2});  // N = 3, g = 4
  const auto phases = lower(CollectiveKind::all_reduce, CollectiveAlgorithm::two_level, group.node_of, filled(1, 12000));
  std::map<std::int32_t, std::int64_t> over_nic, over_nvlink;
  for (const Phase& phase : phases) {
    for (const Transfer& transfer : phase.transfers) {
      const bool crosses = group.node[transfer.source] != group.node[transfer.destination];
      (crosses ? over_nic : over_nvlink)[transfer.source] += transfer.bytes.value();
      if (crosses) CHECK(group.local[transfer.source] == group.local[transfer.destination]);
    }
  }
  for (std::int32_t member = 0; member < 12; ++member) {
    CHECK(over_nic[member] == 2 * 2 * (12000 / 4) / 3);
    CHECK(over_nvlink[member] == 2 * 3 * (12000 / 4));
  }
  REQUIRE(phases.size() == 3);
  CHECK(phases[0].steps == 3);
  CHECK(phases[1].steps == 4);
  CHECK(phases[2].steps == 3);
}

// all-gather, reduce-scatter and broadcast: every byte enters (leaves) each node once, (N-1)·S, and each member once, (n-1)·S in all
TEST_CASE("two-level collectives cross into each node once and into each member once") {
  for (const Group& group : multi_node_even_groups()) {
    const std::int64_t size = 24 * static_cast<std::int64_t>(group.size());
    for (const CollectiveKind kind : {CollectiveKind::all_gather, CollectiveKind::reduce_scatter, CollectiveKind::broadcast}) {
      const auto counts = counts_for(kind, group.size(), kind == CollectiveKind::broadcast ? size : 24);
      const auto phases = lower(kind, CollectiveAlgorithm::two_level, group.node_of, counts);
      CHECK(network_bytes(phases, group) == static_cast<std::int64_t>(group.nodes - 1) * size);
      CHECK(total(phases) == static_cast<std::int64_t>(group.size() - 1) * size);
    }
  }
}

// sent by i = Σ_j c(i,j) - c(i,i), received by j = Σ_i c(i,j) - c(j,j)
TEST_CASE("a flat all-to-all sends row sums and receives column sums, own shares left out") {
  const std::size_t n = 9;
  const auto counts = uneven_matrix(n);
  const auto phases = lower(CollectiveKind::all_to_all, CollectiveAlgorithm::flat, std::vector<NodeId>(n), counts);
  REQUIRE(phases.size() == 1);
  CHECK(phases[0].steps == 1);
  std::vector<Bytes> sent(n), received(n);
  for (const Transfer& transfer : phases[0].transfers) {
    CHECK(transfer.bytes == counts[transfer.source * n + transfer.destination]);
    sent[transfer.source] += transfer.bytes;
    received[transfer.destination] += transfer.bytes;
  }
  for (std::size_t i = 0; i < n; ++i) {
    Bytes row{}, column{};
    for (std::size_t j = 0; j < n; ++j) {
      if (i == j) continue;
      row += counts[i * n + j];
      column += counts[j * n + i];
    }
    CHECK(sent[i] == row);
    CHECK(received[i] == column);
  }
}

TEST_CASE("a hierarchical all-to-all takes as many bytes across the network as a flat one, between equal local indices") {
  for (const Group& group : multi_node_even_groups()) {
    const auto counts = uneven_matrix(group.size());
    const auto flat = lower(CollectiveKind::all_to_all, CollectiveAlgorithm::flat, group.node_of, counts);
    const auto hierarchical = lower(CollectiveKind::all_to_all, CollectiveAlgorithm::hierarchical, group.node_of, counts);
    CHECK(network_bytes(hierarchical, group) == network_bytes(flat, group));
    for (const Phase& phase : hierarchical) {
      for (const Transfer& transfer : phase.transfers) {
        if (group.node[transfer.source] == group.node[transfer.destination]) continue;
        CHECK(group.local[transfer.source] == group.local[transfer.destination]);
      }
    }
  }
}

TEST_CASE("a send is one transfer from the first member to the second") {
  const auto phases = lower(CollectiveKind::send, CollectiveAlgorithm::flat, Group({1, 0}).node_of, filled(1, 77));
  REQUIRE(phases.size() == 1);
  REQUIRE(phases[0].transfers.size() == 1);
  const Transfer transfer = phases[0].transfers[0];
  CHECK(transfer.source == 0);
  CHECK(transfer.destination == 1);
  CHECK(transfer.bytes == Bytes(77));
}

TEST_CASE("no algorithm emits a transfer to itself, of no bytes, or twice in a phase between the same two members") {
  std::vector<Group> groups = even_groups();
  for (const Group& group : uneven_groups()) groups.push_back(group);
  std::size_t lowered = 0;
  for (const Group& group : groups) {
    for (const CollectiveKind kind : all_kinds) {
      for (const CollectiveAlgorithm algorithm : all_algorithms) {
        if (!applies(kind, algorithm, group.node_of) || (kind == CollectiveKind::send && group.size() != 2)) continue;
        for (const std::int64_t bytes : {std::int64_t{0}, std::int64_t{1}, std::int64_t{3}, std::int64_t{1} << 40}) {
          const auto phases = lower(kind, algorithm, group.node_of, counts_for(kind, group.size(), bytes));
          CHECK(phases.empty() == (bytes == 0));
          for (const Phase& phase : phases) {
            CHECK(!phase.transfers.empty());
            CHECK(phase.steps >= 1);
            std::map<std::pair<std::int32_t, std::int32_t>, int> seen;
            for (const Transfer& transfer : phase.transfers) {
              CHECK(transfer.source != transfer.destination);
              CHECK(transfer.bytes > Bytes{});
              CHECK(++seen[{transfer.source, transfer.destination}] == 1);
            }
          }
          ++lowered;
        }
      }
    }
  }
  CHECK(lowered > 200);
}

TEST_CASE("a group of one moves nothing") {
  for (const CollectiveKind kind : {CollectiveKind::all_reduce, CollectiveKind::all_gather, CollectiveKind::reduce_scatter,
                                    CollectiveKind::broadcast}) {
    CHECK(lower(kind, CollectiveAlgorithm::ring, std::vector<NodeId>(1), filled(1, 1000)).empty());
  }
  CHECK(lower(CollectiveKind::all_to_all, CollectiveAlgorithm::flat, std::vector<NodeId>(1), filled(1, 1000)).empty());
}

TEST_CASE("ring collectives of n members take n transfers") {
  const std::vector<NodeId> node_of(1024);
  CHECK(lower(CollectiveKind::all_reduce, CollectiveAlgorithm::ring, node_of, filled(1, 1 << 20)).at(0).transfers.size() == 1024);
  CHECK(lower(CollectiveKind::all_gather, CollectiveAlgorithm::ring, node_of, filled(1024, 5)).at(0).transfers.size() == 1024);
  CHECK(lower(CollectiveKind::broadcast, CollectiveAlgorithm::ring, node_of, filled(1, 5)).at(0).transfers.size() == 1023);
}

TEST_CASE("two_level and hierarchical need several nodes with as many members each") {
  const Group even({0, 0, 1, 1}), uneven({0, 0, 1}), one_node({2, 2});
  CHECK(applies(CollectiveKind::all_reduce, CollectiveAlgorithm::two_level, even.node_of));
  CHECK(applies(CollectiveKind::all_to_all, CollectiveAlgorithm::hierarchical, even.node_of));
  for (const Group& group : {uneven, one_node}) {
    CHECK_FALSE(applies(CollectiveKind::all_reduce, CollectiveAlgorithm::two_level, group.node_of));
    CHECK_FALSE(applies(CollectiveKind::all_to_all, CollectiveAlgorithm::hierarchical, group.node_of));
    CHECK(applies(CollectiveKind::all_reduce, CollectiveAlgorithm::ring, group.node_of));
    CHECK(applies(CollectiveKind::all_to_all, CollectiveAlgorithm::flat, group.node_of));
  }
  CHECK_FALSE(applies(CollectiveKind::all_to_all, CollectiveAlgorithm::two_level, even.node_of));
  CHECK_FALSE(applies(CollectiveKind::all_gather, CollectiveAlgorithm::hierarchical, even.node_of));
}

TEST_CASE("lower runs exactly the algorithms that apply") {
  for (const Group& group : {Group({0, 1}), Group({0, 0, 1}), Group({0, 0, 1, 1}), Group({2, 2})}) {
    for (const CollectiveKind kind : all_kinds) {
      if (kind == CollectiveKind::send && group.size() != 2) continue;
      for (const CollectiveAlgorithm algorithm : all_algorithms) {
        const auto counts = counts_for(kind, group.size(), 12);
        if (applies(kind, algorithm, group.node_of)) {
          CHECK(total(lower(kind, algorithm, group.node_of, counts)) > 0);
        } else {
          CHECK_THROWS_AS((void)lower(kind, algorithm, group.node_of, counts), std::invalid_argument);
        }
      }
      CHECK_FALSE(applies(kind, CollectiveAlgorithm::automatic, group.node_of));
      CHECK_THROWS_AS((void)lower(kind, CollectiveAlgorithm::automatic, group.node_of, counts_for(kind, group.size(), 12)),
                      std::invalid_argument);
    }
  }
}

TEST_CASE("counts of the wrong number or sign are refused") {
  const std::vector<NodeId> node_of(3);
  CHECK_THROWS_AS((void)lower(CollectiveKind::all_gather, CollectiveAlgorithm::ring, node_of, filled(1, 8)), std::invalid_argument);
  CHECK_THROWS_AS((void)lower(CollectiveKind::all_to_all, CollectiveAlgorithm::flat, node_of, filled(3, 8)), std::invalid_argument);
  CHECK_THROWS_AS((void)lower(CollectiveKind::all_reduce, CollectiveAlgorithm::ring, node_of, filled(1, -8)), std::invalid_argument);
  CHECK_THROWS_AS((void)lower(CollectiveKind::send, CollectiveAlgorithm::flat, node_of, filled(1, 8)), std::invalid_argument);
}

// nccl-tests: all-reduce 2(n-1)/n; all-gather, reduce-scatter, all-to-all (n-1)/n; broadcast and send 1
TEST_CASE("bus factors are those of nccl-tests") {
  CHECK(bus_factor(CollectiveKind::all_reduce, 16) == 1.875);
  CHECK(bus_factor(CollectiveKind::all_gather, 4) == 0.75);
  CHECK(bus_factor(CollectiveKind::reduce_scatter, 4) == 0.75);
  CHECK(bus_factor(CollectiveKind::all_to_all, 8) == 0.875);
  CHECK(bus_factor(CollectiveKind::broadcast, 8) == 1.0);
  CHECK(bus_factor(CollectiveKind::send, 2) == 1.0);
}

}  // namespace fabricast::collectives_test
