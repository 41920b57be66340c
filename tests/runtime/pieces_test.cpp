#include "runtime/pieces.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "runtime/exchange_data.hpp"

namespace fabricast::pieces_test {

using namespace fabricast;
using namespace fabricast::runtime;
using hw::CollectiveKind;

namespace {

using Buffers = std::vector<std::vector<std::byte>>;

ExchangeShape shape_of(CollectiveKind kind, std::size_t members, const std::vector<std::int64_t>& counts) {
  ExchangeShape shape{kind, members, {}, hw::Precision::fp32};
  for (const std::int64_t bytes : counts) shape.counts.push_back(Bytes(bytes));
  return shape;
}

/// Some members send nothing to some, or to themselves.
ExchangeShape uneven_all_to_all(std::size_t members) {
  std::vector<std::int64_t> counts(members * members);
  for (std::size_t i = 0; i < counts.size(); ++i) counts[i] = static_cast<std::int64_t>(i * 7 % 5);
  return shape_of(CollectiveKind::all_to_all, members, counts);
}

/// Every byte another, as far as there are so many.
Buffers inputs_of(const ExchangeShape& shape) {
  Buffers inputs;
  int value = 0;
  for (std::size_t m = 0; m < shape.members; ++m) {
    auto& input = inputs.emplace_back(static_cast<std::size_t>(expected_input(shape, m).value()));
    for (std::byte& b : input) b = static_cast<std::byte>(value++);
  }
  return inputs;
}

Buffers zeros(const ExchangeShape& shape) {
  Buffers outputs;
  for (std::size_t m = 0; m < shape.members; ++m) outputs.emplace_back(static_cast<std::size_t>(expected_output(shape, m).value()));
  return outputs;
}

/// What the host's transport makes of the exchange.
Buffers taken(const ExchangeShape& shape, const Buffers& inputs) {
  Buffers outputs = zeros(shape);
  std::vector<Exchange> parts;
  for (std::size_t m = 0; m < shape.members; ++m) parts.push_back({ir::InstanceId{0}, m, inputs[m], outputs[m]});
  std::vector<const Exchange*> all;
  for (const Exchange& part : parts) all.push_back(&part);
  for (std::uint32_t round = 0; round < rounds_of(shape.kind); ++round) {
    for (std::size_t m = 0; m < shape.members; ++m) (void)take_part(shape, all, m, round);
  }
  return outputs;
}

Buffers copied(const ExchangeShape& shape, const Buffers& inputs) {
  const Copies copies = copies_of(shape);
  Buffers outputs = zeros(shape), scratch;
  for (const std::int64_t bytes : copies.scratch) scratch.emplace_back(static_cast<std::size_t>(bytes));
  for (const auto& hop : copies.hops) {
    for (const Piece& p : hop) {
      const auto& from = (p.from_scratch ? scratch : inputs).at(static_cast<std::size_t>(p.source));
      auto& to = (p.to_scratch ? scratch : outputs).at(static_cast<std::size_t>(p.destination));
      REQUIRE(p.source_offset + p.bytes <= static_cast<std::int64_t>(from.size()));
      REQUIRE(p.destination_offset + p.bytes <= static_cast<std::int64_t>(to.size()));
      std::copy_n(from.begin() + p.source_offset, p.bytes, to.begin() + p.destination_offset);
    }
  }
  return outputs;
}

}  // namespace

TEST_CASE("copies give what the host's transport gives, for every kind that does not sum, with unequal and empty shares") {
  for (const ExchangeShape& shape :
       {shape_of(CollectiveKind::all_gather, 3, {4, 0, 8}), shape_of(CollectiveKind::broadcast, 3, {12}),
        shape_of(CollectiveKind::send, 2, {16}), uneven_all_to_all(4), uneven_all_to_all(1)}) {
    const Buffers inputs = inputs_of(shape);
    CHECK(copied(shape, inputs) == taken(shape, inputs));
  }
}

TEST_CASE("over relays the same bytes arrive, and the copies between members are those of the lowering") {
  const std::vector<NodeId> nodes{{0}, {1}, {0}, {1}, {2}, {2}};
  ExchangeShape direct = uneven_all_to_all(6), relayed = direct;
  relayed.route = hw::route_all_to_all(hw::CollectiveAlgorithm::hierarchical, nodes, relayed.counts);
  const Buffers inputs = inputs_of(direct);
  CHECK(copied(relayed, inputs) == taken(direct, inputs));
  CHECK(copies_of(relayed).hops.size() == 2);
  Bytes lowered;
  for (const hw::Phase& phase : hw::lower(CollectiveKind::all_to_all, hw::CollectiveAlgorithm::hierarchical, nodes, relayed.counts)) {
    for (const hw::Transfer& transfer : phase.transfers) lowered += transfer.bytes;
  }
  CHECK(bytes_between_members(relayed) == lowered);
  CHECK(bytes_between_members(relayed) > bytes_between_members(direct));
}

TEST_CASE("neighbours at both ends are one copy") {
  // Member 1 holds all of both blocks that member 0 gets: [0 0; 5 3] has pieces 1 → 0 and 1 → 1 that are no neighbours at their ends.
  CHECK(copies_of(shape_of(CollectiveKind::all_to_all, 2, {0, 0, 5, 3})).hops.at(0).size() == 2);
  // Over relays all that goes from one node's member to its relay lies side by side: nodes {0, 0}, {1, 1}; 0's pieces for 1 and for 3.
  ExchangeShape relayed = shape_of(CollectiveKind::all_to_all, 4, std::vector<std::int64_t>(16, 4));
  relayed.route = hw::route_all_to_all(hw::CollectiveAlgorithm::hierarchical, std::vector<NodeId>{{0}, {0}, {1}, {1}}, relayed.counts);
  CHECK(bytes_between_members(relayed) == Bytes(4 * (4 + 4 + 2 * 4)));   // each: its node's 1, 1 to a relay, 2 across
}

TEST_CASE("sums move 2(n-1)·S in an all-reduce, (n-1)·S in a reduce-scatter, and are no copies") {
  CHECK(bytes_between_members(shape_of(CollectiveKind::all_reduce, 4, {100})) == Bytes(600));
  CHECK(bytes_between_members(shape_of(CollectiveKind::reduce_scatter, 4, {10, 20, 30, 40})) == Bytes(300));
  CHECK_THROWS_AS((void)copies_of(shape_of(CollectiveKind::all_reduce, 4, {100})), std::invalid_argument);
}

}  // namespace fabricast::pieces_test
