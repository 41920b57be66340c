#include "strategies/placement.hpp"

#include <doctest/doctest.h>

#include <set>

#include "hardware_models/config_error.hpp"

namespace fabricast::placement_test {

using namespace fabricast;
using namespace fabricast::strategy;
using ir::Axis;

namespace {

constexpr Degrees guide{128, 2, 1, 64, 1, 64, 2, 1};

const ir::Group& group(const Placement& placement, int rank, Axis axis) {
  const auto& binding = placement.ranks[static_cast<std::size_t>(rank)];
  return placement.groups[binding.groups[static_cast<std::size_t>(axis)].index()];
}

}  // namespace

TEST_CASE("the guide's expert e lives on GPUs 2e and 2e+1") {
  const Placement placement = place(guide, {});
  for (int e = 0; e < 64; ++e) {
    for (int t = 0; t < 2; ++t) {
      CHECK(placement.ranks[static_cast<std::size_t>(2 * e + t)].at.expert == e);
      CHECK(placement.ranks[static_cast<std::size_t>(2 * e + t)].at.expert_tensor == t);
    }
    CHECK(group(placement, 2 * e, Axis::tensor).members == std::vector{Rank{2 * e}, Rank{2 * e + 1}});
  }
}

TEST_CASE("the groups of an axis partition the ranks and know each member's place") {
  for (const Degrees& d : {guide, Degrees{128, 8, 1, 8, 2, 1, 8, 8}, Degrees{64, 4, 1, 8, 2, 16, 1, 2}}) {
    const Placement placement = place(d, {Axis::data, Axis::tensor, Axis::context, Axis::pipeline});
    for (std::size_t axis = 0; axis < ir::axis_count; ++axis) {
      std::set<std::int32_t> seen;
      for (const auto& g : placement.groups) {
        if (g.axis != static_cast<Axis>(axis)) continue;
        for (const Rank r : g.members) CHECK(seen.insert(r.value).second);
      }
      CHECK(seen.size() == static_cast<std::size_t>(d.world));
      for (std::size_t r = 0; r < placement.ranks.size(); ++r) {
        const auto& b = placement.ranks[r];
        CHECK(placement.groups[b.groups[axis].index()].members[static_cast<std::size_t>(b.members[axis])].index() == r);
      }
    }
  }
}

TEST_CASE("an expert group lies within one stage, whatever the axis order") {
  const Degrees d{64, 2, 1, 16, 2, 16, 2, 1};
  for (const auto& order : {std::vector<Axis>{}, std::vector{Axis::pipeline, Axis::tensor, Axis::context, Axis::data}}) {
    const Placement placement = place(d, order);
    for (const auto& g : placement.groups) {
      if (g.axis != Axis::expert) continue;
      CHECK(g.members.size() == 16);
      for (const Rank r : g.members) CHECK(placement.ranks[r.index()].at.stage == placement.ranks[g.members[0].index()].at.stage);
    }
  }
}

TEST_CASE("sources count the ranks of each stage from 0, tensor ranks side by side") {
  const Placement placement = place(Degrees{16, 2, 1, 4, 2, 4, 2, 1}, {});
  std::vector<std::set<int>> sources(2);
  for (const auto& b : placement.ranks) {
    CHECK(b.source == b.at.data * 2 + b.at.tensor);
    CHECK(sources[static_cast<std::size_t>(b.at.stage)].insert(b.source).second);
  }
  CHECK(sources[0].size() == 8);
}

TEST_CASE("an axis order that misses an axis is the user's mistake") {
  CHECK_THROWS_AS((void)place(guide, {Axis::tensor, Axis::data}), hw::ConfigError);
  CHECK_THROWS_AS((void)place(guide, {Axis::tensor, Axis::data, Axis::data, Axis::pipeline}), hw::ConfigError);
}

}  // namespace fabricast::placement_test
