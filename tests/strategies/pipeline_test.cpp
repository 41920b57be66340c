#include "strategies/pipeline.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <tuple>

namespace fabricast::pipeline_test {

using namespace fabricast::strategy;

namespace {

/// Each (micro-batch, chunk) once forward and once backward, forward first.
void check_complete(const std::vector<PipelineUnit>& order, int micro_batches, int chunks) {
  std::set<std::tuple<int, int>> forward, backward;
  for (const auto& unit : order) {
    const std::tuple key{unit.micro_batch, unit.chunk};
    if (unit.pass == Pass::forward) {
      CHECK(forward.insert(key).second);
    } else {
      CHECK(forward.count(key) == 1);
      CHECK(backward.insert(key).second);
    }
  }
  CHECK(forward.size() == static_cast<std::size_t>(micro_batches * chunks));
  CHECK(backward == forward);
}

int most_in_flight(const std::vector<PipelineUnit>& order) {
  int now = 0, most = 0;
  for (const auto& unit : order) {
    now += unit.pass == Pass::forward ? 1 : -1;
    most = std::max(most, now);
  }
  return most;
}

}  // namespace

TEST_CASE("every training order runs each unit once forward, then once backward") {
  for (int stage = 0; stage < 4; ++stage) {
    check_complete(one_forward_one_backward_order(stage, 4, 8), 8, 1);
    check_complete(one_forward_one_backward_order(stage, 4, 2), 2, 1);
    check_complete(interleaved_order(stage, 4, 8, 3), 8, 3);
  }
  check_complete(gpipe_order(5), 5, 1);
}

TEST_CASE("1F1B holds at most stages - stage micro-batches, GPipe all of them") {
  for (int stage = 0; stage < 4; ++stage) CHECK(most_in_flight(one_forward_one_backward_order(stage, 4, 16)) == 4 - stage);
  CHECK(most_in_flight(gpipe_order(16)) == 16);
}

TEST_CASE("interleaving with one chunk is 1F1B") {
  CHECK(interleaved_order(1, 4, 8, 1) == one_forward_one_backward_order(1, 4, 8));
}

TEST_CASE("interleaved forward units go through the chunks in groups of as many micro-batches as stages") {
  const auto order = forward_order(2, 4, 2);
  const std::vector<PipelineUnit> expected{{Pass::forward, 0, 0}, {Pass::forward, 1, 0}, {Pass::forward, 0, 1}, {Pass::forward, 1, 1},
                                           {Pass::forward, 2, 0}, {Pass::forward, 3, 0}, {Pass::forward, 2, 1}, {Pass::forward, 3, 1}};
  CHECK(order == expected);
}

}  // namespace fabricast::pipeline_test
