#include "hardware_models/all_to_all_route.hpp"

#include <doctest/doctest.h>

#include <vector>

namespace fabricast::all_to_all_route_test {

using namespace fabricast;
using hw::CollectiveAlgorithm;

namespace {

/// counts[s][d] = 1 + s + 10 d, with some empty.
std::vector<Bytes> uneven_counts(std::int32_t n) {
  std::vector<Bytes> counts;
  for (std::int32_t s = 0; s < n; ++s) {
    for (std::int32_t d = 0; d < n; ++d) counts.emplace_back((s + d) % 5 == 0 ? 0 : 1 + s + 10 * d);
  }
  return counts;
}

/// Members over nodes 1, 0, 1, 0, …: neighbours in the group are not neighbours in the cluster.
std::vector<NodeId> interleaved(std::int32_t members, std::int32_t nodes) {
  std::vector<NodeId> node_of;
  for (std::int32_t i = 0; i < members; ++i) node_of.push_back(NodeId{nodes - 1 - i % nodes});
  return node_of;
}

}  // namespace

TEST_CASE("every piece of an all-to-all ends where it belongs, one hop after the other") {
  for (const auto algorithm : {CollectiveAlgorithm::flat, CollectiveAlgorithm::hierarchical}) {
    for (const std::int32_t nodes : {2, 3}) {
      const std::int32_t n = 6;
      const auto counts = uneven_counts(n);
      const auto node_of = interleaved(n, nodes);
      std::vector<std::int32_t> holder;
      for (std::int32_t i = 0; i < n * n; ++i) holder.push_back(i / n);
      const auto phases = hw::route_all_to_all(algorithm, node_of, counts);
      const auto lowered = hw::lower(hw::CollectiveKind::all_to_all, algorithm, node_of, counts);
      REQUIRE(phases.size() == lowered.size());
      for (std::size_t p = 0; p < phases.size(); ++p) {
        REQUIRE(phases[p].size() == lowered[p].transfers.size());
        for (std::size_t t = 0; t < phases[p].size(); ++t) {
          Bytes carried;
          for (const hw::Piece piece : phases[p][t].pieces) {
            auto& at = holder[static_cast<std::size_t>(piece.source * n + piece.destination)];
            CHECK(at == phases[p][t].source);
            at = phases[p][t].destination;
            carried += counts[static_cast<std::size_t>(piece.source * n + piece.destination)];
          }
          CHECK(carried == lowered[p].transfers[t].bytes);
        }
      }
      for (std::int32_t i = 0; i < n * n; ++i) {
        if (counts[static_cast<std::size_t>(i)] > Bytes{}) CHECK(holder[static_cast<std::size_t>(i)] == i % n);
      }
    }
  }
}

TEST_CASE("hierarchical: nothing crosses nodes between unlike local indices") {
  const std::int32_t n = 8;
  std::vector<NodeId> node_of;
  for (std::int32_t i = 0; i < n; ++i) node_of.push_back(NodeId{i / 4});
  const auto phases = hw::route_all_to_all(CollectiveAlgorithm::hierarchical, node_of, uneven_counts(n));
  REQUIRE(phases.size() == 2);
  for (const auto& t : phases[0]) CHECK(t.source / 4 == t.destination / 4);
  for (const auto& t : phases[1]) {
    CHECK(t.source / 4 != t.destination / 4);
    CHECK(t.source % 4 == t.destination % 4);
  }
}

}  // namespace fabricast::all_to_all_route_test
