#include "strategies/ir/validate.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "tests/strategies/ir/hand_made.hpp"

namespace fabricast::ir::validate_test {

namespace {

using Of = Extent::Of;

std::string complaint(const Schedule& schedule) {
  try {
    validate(schedule);
  } catch (const ScheduleError& error) {
    return error.what();
  }
  return "valid";
}

bool says(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

/// Two ranks: a layer on stream 0 whose halves are gathered on streams 1 and 2, then used. Buffers: 0 input, 1 weights, 2 hidden, 3
/// gathered.
HandMade two_ranks() {
  HandMade made(2);
  made.group(Axis::tensor, {0, 1});
  const BufferId input = made.buffer(rows(8), BufferKind::input), weights = made.buffer(rows(4), BufferKind::dense_weights);
  const BufferId hidden = made.buffer(rows(8)), gathered = made.buffer(rows(16));
  const OpIndex layer = made.op(0, compute(), {}, {whole(input), whole(weights)}, {whole(hidden)});
  const OpIndex low =
      made.op(1, collective(hw::CollectiveKind::all_gather, Axis::tensor, 4), {layer}, {slice(hidden, 0, 4)}, {slice(gathered, 0, 8)});
  const OpIndex high =
      made.op(2, collective(hw::CollectiveKind::all_gather, Axis::tensor, 4), {layer}, {slice(hidden, 4, 4)}, {slice(gathered, 8, 8)});
  made.op(0, compute(), {low, high}, {whole(gathered)}, {whole(hidden)});
  return made;
}

HandMade moe_ranks() {
  RoutingShape shape;
  shape.layers = 1, shape.chunks = 2, shape.sources = 4, shape.experts = 4, shape.top_k = 2, shape.expert_positions = 2, shape.tokens = 6;
  HandMade made = ExpertGrid{2, 2, 1, false}.make(block_plan(shape));
  const Extent sent{Of::rows_sent, 1, {}}, received{Of::rows_received, 1, {}}, computed{Of::expert_rows, 1, {}};
  const BufferId tokens = made.buffer(rows(6), BufferKind::input), out = made.buffer(sent), in = made.buffer(received),
                 all = made.buffer(computed);
  const OpIndex permute = made.op(0, hw::Permute<Extent>{sent, 8, hw::Precision::bf16}, {}, {whole(tokens)}, {whole(out)});
  const OpIndex dispatch = made.op(1, AllToAll{AllToAll::Direction::dispatch, {}, 16}, {permute}, {whole(out)}, {whole(in)});
  const OpIndex gather =
      made.op(1, Collective{hw::CollectiveKind::all_gather, Axis::expert_tensor, received, 16}, {dispatch}, {whole(in)}, {whole(all)});
  made.op(0, hw::GroupedGemm<ExpertRows>{{}, 8, 8, hw::Precision::bf16}, {gather}, {whole(all)}, {whole(all)});
  return made;
}

struct Defect {
  const char* message;
  std::function<void(Schedule&)> plant;
};

void check_each(HandMade (*make)(), const std::vector<Defect>& defects) {
  REQUIRE(complaint(make().schedule()) == "valid");
  for (const Defect& defect : defects) {
    HandMade made = make();
    defect.plant(made.schedule());
    const std::string text = complaint(made.schedule());
    CAPTURE(text);
    CHECK_MESSAGE(says(text, defect.message), defect.message);
  }
}

Op& op(Schedule& s, std::size_t index) { return s.programs[0].ops[index]; }

}  // namespace

TEST_CASE("describe names rank, op, scope and label") {
  CHECK(describe(two_ranks().schedule(), Rank{1}, OpIndex{2}) == "rank 1, op 2 (scope / op)");
  HandMade made = two_ranks();
  made.schedule().labels[0].clear();
  CHECK(describe(made.schedule(), Rank{1}, OpIndex{2}) == "rank 1, op 2 (op)");
}

TEST_CASE("ids, edges and streams of a program that are wrong are named with their op") {
  check_each(
      two_ranks,
      {
          {"rank 0, op 2 (scope / op): stream 3 does not exist", [](Schedule& s) { op(s, 2).stream = StreamId{3}; }},
          {"rank 0, op 3 (scope / op): rms_norm runs on stream 1; computation belongs on stream 0",
           [](Schedule& s) { op(s, 3).stream = StreamId{1}; }},
          {"op 1 (scope / op): waits for op 1, which is not before it", [](Schedule& s) { op(s, 1).after = {OpIndex{1}}; }},
          {"op 1 (scope / op): waits for op -1", [](Schedule& s) { op(s, 1).after = {OpIndex{-1}}; }},
          {"op 0 (scope / op): buffer 4 does not exist", [](Schedule& s) { op(s, 0).reads[0].buffer = BufferId{4}; }},
          {"op 1 (scope / label 9): its label does not exist", [](Schedule& s) { op(s, 1).label = LabelId{9}; }},
          {"op 1 (label -2 / op): its scope does not exist", [](Schedule& s) { op(s, 1).scope = LabelId{-2}; }},
          {"buffer 2: label 9 does not exist", [](Schedule& s) { s.programs[0].buffers[2].label = LabelId{9}; }},
          {"buffer 2 (op): a negative number of rows, -1", [](Schedule& s) { s.programs[0].buffers[2].rows = rows(-1); }},
          {"buffer 2: -8 bytes a row", [](Schedule& s) { s.programs[0].buffers[2].row_bytes = -8; }},
          {"op 2 (scope / op): rows [12, 20) of buffer 3 (op) lie beyond its 16", [](Schedule& s) { op(s, 2).writes[0].first = rows(12); }},
          {"op 0 (scope / op): writes buffer 1 (op), whose kind dense_weights is read only",
           [](Schedule& s) { op(s, 0).writes.push_back(whole(BufferId{1})); }},
          {"op 0 (scope / op): writes buffer 0 (op), whose kind input is read only",
           [](Schedule& s) { op(s, 0).writes.push_back(whole(BufferId{0})); }},
          {"op 0 (scope / op): asks the routing plan, which has no experts placed",
           [](Schedule& s) {
             op(s, 0).work = hw::RmsNorm<Extent>{{Of::rows_sent, 1, {}}, 8, hw::Precision::bf16};
           }},
          {"op 1 (scope / op): a Collective cannot be of kind all_to_all",
           [](Schedule& s) { op(s, 1).work = collective(hw::CollectiveKind::all_to_all, Axis::tensor, 4); }},
          {"rank 1: program 1 does not exist", [](Schedule& s) { s.ranks[1].program = ProgramId{1}; }},
          {"program 1 (\"spare\"): no rank runs it",
           [](Schedule& s) {
             s.programs.push_back({"spare", {"compute"}, {}, {}});
           }},
      });
}

TEST_CASE("accesses that nothing orders, and reads of what was never written, are named with both ops") {
  check_each(
      two_ranks,
      {
          {"op 3 (scope / op): reads rows [0, 16) of buffer 3 (op) that rank 0, op 2 (scope / op) writes, and neither "
           "streams nor edges order the two; add op 2 to its `after`",
           [](Schedule& s) { op(s, 3).after = {OpIndex{1}}; }},
          {"op 1 (scope / op): reads rows [0, 4) of buffer 2 (op) that rank 0, op 0 (scope / op) writes",
           [](Schedule& s) { op(s, 1).after.clear(); }},
          {"op 2 (scope / op): writes rows [7, 15) of buffer 3 (op) that rank 0, op 1 (scope / op) writes",
           [](Schedule& s) { op(s, 2).writes[0].first = rows(7); }},
          {"op 3 (scope / op): writes rows [0, 8) of buffer 2 (op) that rank 0, op 2 (scope / op) reads",
           [](Schedule& s) { op(s, 3).after = {OpIndex{1}}, op(s, 3).reads.clear(); }},
          {"op 3 (scope / op): reads rows [0, 16) of buffer 3 (op) before they are written",
           [](Schedule& s) { op(s, 2).writes[0] = slice(BufferId{3}, 9, 7); }},
          {"op 3 (scope / op): reads rows [0, 16) of buffer 3 (op) before they are written",
           [](Schedule& s) { op(s, 2).writes[0] = slice(BufferId{3}, 8, 7); }},
          {"op 0 (scope / op): reads rows [0, 8) of buffer 2 (op) before they are written",
           [](Schedule& s) { op(s, 0).reads.push_back(whole(BufferId{2})); }},
      });
}

TEST_CASE("a slice whose first row depends on the routing plan counts as the whole buffer, one whose length does as reaching its end") {
  check_each(
      moe_ranks,
      {
          {"op 4 (scope / op): writes rows [0, end) of buffer 3 (op) that rank 0, op 3",
           [](Schedule& s) {
             op(s, 2).after.clear();  // stream 1 orders it
             Op late = op(s, 2);
             late.stream = StreamId{2};
             late.reads.clear();
             late.writes = {{BufferId{3}, {Of::rows_received, 1, {}}, rows(1)}};
             s.programs[0].ops.push_back(late);
           }},
          {"op 4 (scope / op): writes rows [5, end) of buffer 3 (op) that rank 0, op 3",
           [](Schedule& s) {
             Op late = op(s, 2);
             late.stream = StreamId{2};
             late.reads.clear();
             late.writes = {{BufferId{3}, rows(5), Extent{Of::rows_received, 1, {}}}};
             s.programs[0].ops.push_back(late);
           }},
      });
}

TEST_CASE("groups and bindings that disagree are named") {
  check_each(
      two_ranks,
      {
          {"tensor group 0: member 1 is rank 2, which does not exist", [](Schedule& s) { s.groups[0].members[1] = Rank{2}; }},
          {"tensor group 0: its member 1 is rank 0, whose binding says member 0 of tensor group 0",
           [](Schedule& s) { s.groups[0].members[1] = Rank{0}; }},
          {"tensor group 0: its member 1 is rank 1, whose binding says member 0", [](Schedule& s) { s.ranks[1].members[0] = 0; }},
          {"group 1: no axis or no members",
           [](Schedule& s) {
             s.groups.push_back({Axis::data, {}});
           }},
          {"rank 1, op 1 (scope / op): member 1 of tensor group 0 is not this rank", [](Schedule& s) { s.groups[0].members = {Rank{0}}; }},
          {"rank 0, op 1 (scope / op): needs a data group, but the rank's binding names group 0, which is no data group",
           [](Schedule& s) { op(s, 1).work = collective(hw::CollectiveKind::all_gather, Axis::data, 4); }},
          {"rank 0, op 1 (scope / op): needs a data group, but the rank's binding names group -1",
           [](Schedule& s) {
             op(s, 1).work = collective(hw::CollectiveKind::all_gather, Axis::data, 4);
             s.ranks[0].groups[static_cast<std::size_t>(Axis::data)] = GroupId{-1};
           }},
          {"rank 0, op 1 (scope / op): peer 2 does not exist in its tensor group of 2",
           [](Schedule& s) {
             op(s, 1).work = Send{Axis::tensor, 2, 0, rows(1), 2};
           }},
          {"rank 0, op 1 (scope / op): send with itself as peer",
           [](Schedule& s) {
             op(s, 1).work = Send{Axis::tensor, 0, 0, rows(1), 2};
           }},
      });
}

TEST_CASE("what the routing plan does not hold is named with the op that asks") {
  check_each(
      moe_ranks,
      {
          {"op 1 (scope / op): asks the routing plan for layer 0, micro-batch 0, chunk 2; it has 1, 1, 2",
           [](Schedule& s) {
             op(s, 1).work = AllToAll{AllToAll::Direction::dispatch, {0, 0, 2}, 16};
           }},
          {"rank 3, op 0 (scope / op): the rank dispatches for sources [4, 5) of a routing plan with 4",
           [](Schedule& s) { s.ranks[3].source = 4; }},
          {"rank 2, op 0 (scope / op): the rank dispatches for sources [2, 2)",
           [](Schedule& s) { s.ranks[2].sources_dispatched = 0; }},
          {"rank 0, op 2 (scope / op): dispatches for 1 sources, rank 1 of its expert_tensor group for 2",
           [](Schedule& s) { s.ranks[1].sources_dispatched = 2; }},
          {"rank 0, op 2 (scope / op): holds other experts than rank 3 of its expert_tensor group",
           [](Schedule& s) {  // the second members of the two pairs change places
             const auto axis = static_cast<std::size_t>(Axis::expert_tensor);
             std::swap(s.ranks[1].groups[axis], s.ranks[3].groups[axis]);
             s.groups[s.ranks[1].groups[axis].index()].members[1] = Rank{1};
             s.groups[s.ranks[3].groups[axis].index()].members[1] = Rank{3};
           }},
          {"an expert group of 2 for a routing plan with 3 expert positions",
           [](Schedule& s) {
             RoutingShape shape = s.routing.shape();
             shape.expert_positions = 3;
             s.routing = block_plan(shape);
           }},
      });
}

TEST_CASE("members that bring unequal rows to an all-reduce are named") {
  HandMade made(2);
  made.own_program(1);
  made.group(Axis::tensor, {0, 1});
  made.op(1, collective(hw::CollectiveKind::all_reduce, Axis::tensor, 4));
  made.op_of(1, 1, collective(hw::CollectiveKind::all_reduce, Axis::tensor, 5));
  CHECK(complaint(made.schedule()) ==
        "rank 1, op 0 (scope / op): brings 5 rows to a collective in which rank 0, op 0 (scope / op) expects 4 of it; members must agree");
}

TEST_CASE("an all-reduce over rows that differ by rank is no all-reduce") {
  check_each(moe_ranks, {{"brings", [](Schedule& s) {
                            RoutingShape shape = s.routing.shape();
                            shape.tokens = 7;  // 14 rows over 4 experts
                            s.routing = block_plan(shape);
                            op(s, 2).work = Collective{hw::CollectiveKind::all_reduce, Axis::expert, {Of::rows_received, 1, {}}, 16};
                          }}});
}

TEST_CASE("a receive of another size than its send is named") {
  HandMade made(2);
  made.own_program(1);
  made.group(Axis::pipeline, {0, 1});
  made.op(1, Send{Axis::pipeline, 1, 0, rows(4), 2});
  made.op_of(1, 1, Recv{Axis::pipeline, 0, 0, rows(8), 1});
  CHECK(complaint(made.schedule()) == "valid");
  made.schedule().programs[1].ops[0].work = Recv{Axis::pipeline, 0, 0, rows(8), 2};
  CHECK(complaint(made.schedule()) ==
        "rank 1, op 0 (scope / op): receives 16 B of the 8 B sent by rank 0, op 0 (scope / op); the two must be equal");
}

TEST_CASE("an unmatched collective is a defect, too") {
  check_each(two_ranks, {{"collective 0 of its tensor group, but rank 1 of the group issues only 0", [](Schedule& s) {
                            s.programs.push_back({"idle", {"compute"}, {}, {}});
                            s.ranks[1].program = ProgramId{1};
                          }}});
}

}  // namespace fabricast::ir::validate_test
