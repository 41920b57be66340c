#include "strategies/ir/schedule.hpp"

#include <doctest/doctest.h>

#include <set>
#include <string>

#include "tests/strategies/ir/hand_made.hpp"

namespace fabricast::ir::schedule_test {

TEST_CASE("every axis and buffer kind has a name of its own") {
  std::set<std::string_view> axes, kinds;
  for (std::size_t a = 0; a < axis_count; ++a) axes.insert(name_of(static_cast<Axis>(a)));
  for (int k = 0; k <= static_cast<int>(BufferKind::input); ++k) kinds.insert(name_of(static_cast<BufferKind>(k)));
  CHECK(axes.size() == axis_count);
  CHECK(kinds.size() == 10);
  CHECK(name_of(Axis::expert_tensor) == "expert_tensor");
}

TEST_CASE("a collective's kind is the collective it runs") {
  CHECK(kind_of(Work(collective(hw::CollectiveKind::reduce_scatter, Axis::tensor, 1))) == "reduce_scatter");
  CHECK(kind_of(Work(AllToAll{AllToAll::Direction::combine, {}, 2})) == "all_to_all");
  CHECK(kind_of(Work(Send{Axis::pipeline, 1, 0, rows(1), 2})) == "send");
  CHECK(kind_of(Work(Recv{Axis::pipeline, 1, 0, rows(1), 2})) == "recv");
  CHECK(kind_of(compute()) == "rms_norm");
}

TEST_CASE("only collectives, all-to-alls and messages communicate") {
  CHECK(communicates(collective(hw::CollectiveKind::all_gather, Axis::tensor, 1)));
  CHECK(communicates(AllToAll{AllToAll::Direction::dispatch, {}, 2}));
  CHECK(communicates(Send{Axis::pipeline, 1, 0, rows(1), 2}));
  CHECK(communicates(Recv{Axis::pipeline, 1, 0, rows(1), 2}));
  CHECK_FALSE(communicates(compute()));
  CHECK_FALSE(communicates(hw::GroupedGemm<ExpertRows>{{}, 1, 1, hw::Precision::bf16}));
}

}  // namespace fabricast::ir::schedule_test
