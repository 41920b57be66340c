#include "validation/critical_path.hpp"

#include <doctest/doctest.h>

#include <filesystem>

#include "tests/validation/observed_step.hpp"
#include "validation/forecast.hpp"
#include "validation/report.hpp"
#include "validation/report_parts.hpp"

namespace fabricast::critical_path_test {

using namespace validation;

SimTime length(const std::vector<PathPiece>& path) {
  SimTime sum;
  for (const PathPiece& piece : path) sum += piece.end - piece.start;
  return sum;
}

// Rank 0 computes 3 and rank 1 computes 5, a gather takes 2, then 4 and 1: 5 + 2 + 4 = 11, by way of rank 1 and back to rank 0.
TEST_CASE("the path goes through the member that came last, and on through the rank that ends last") {
  ir::Schedule schedule = tests::tensor_group(2);
  tests::add_gemm(schedule, 1, 1, 1);
  tests::add_gather(schedule, 1, 1, 0);
  tests::add_gemm(schedule, 1, 1, 1);
  const auto at = [](int issued, int start, int end) { return ir::OpInterval{SimTime(issued), SimTime(start), SimTime(end)}; };
  const ir::Trace trace{{{at(0, 0, 3), at(3, 5, 7), at(7, 7, 11)}, {at(0, 0, 5), at(5, 5, 7), at(7, 7, 8)}}};
  const auto path = critical_path(schedule, ir::match_instances(schedule), trace);
  REQUIRE(path.size() == 3);
  CHECK(path[0].rank == Rank{1});
  CHECK(path[0].op == ir::OpIndex{0});
  CHECK(path[0].end == SimTime(5));
  CHECK(path[1].op == ir::OpIndex{1});
  CHECK(path[2].rank == Rank{0});
  CHECK(path[2].op == ir::OpIndex{2});
  CHECK(length(path) == SimTime(11));
}

// Op 2 needs op 0 (stream) and op 1 (edge); the later of the two is on the path.
TEST_CASE("of the ops that one waits for, the last to end is on the path") {
  for (const bool edge_is_late : {false, true}) {
    ir::Schedule schedule = tests::tensor_group(1);
    tests::add_gemm(schedule, 1, 1, 1);
    tests::add_gather(schedule, 1, 1, 1);
    tests::add_gemm(schedule, 1, 1, 1);
    schedule.programs[0].ops[2].after = {ir::OpIndex{1}};
    const SimTime zero(0), compute(edge_is_late ? 3 : 6), gather(edge_is_late ? 6 : 3), six(6), eight(8);
    const ir::Trace trace{{{{zero, zero, compute}, {zero, zero, gather}, {six, six, eight}}}};
    const auto path = critical_path(schedule, ir::match_instances(schedule), trace);
    REQUIRE(path.size() == 2);
    CHECK(path[0].op == ir::OpIndex{edge_is_late ? 1 : 0});
  }
}

// A kernel issued at 4 starts at 5 although the one before it ended at 3: 1 in the launch and 1 on the host are waiting.
TEST_CASE("time in which nothing that is needed runs is waiting") {
  ir::Schedule schedule = tests::tensor_group(1);
  tests::add_gemm(schedule, 1, 1, 1);
  tests::add_gemm(schedule, 1, 1, 1);
  const ir::Trace trace{{{{SimTime(0), SimTime(0), SimTime(3)}, {SimTime(4), SimTime(5), SimTime(9)}}}};
  SimTime waiting;
  for (const PathPiece& piece : critical_path(schedule, ir::match_instances(schedule), trace)) {
    if (!piece.op) waiting += piece.end - piece.start;
  }
  CHECK(waiting == SimTime(2));
}

TEST_CASE("whatever the trace, the pieces follow each other from the step's start to its end") {
  ir::SplitMix64 random(5);
  for (int round = 0; round < 50; ++round) {
    const ir::Schedule schedule = tests::random_schedule(1 + static_cast<std::int32_t>(random.below(4)), 1 + random.below(40), random);
    const ir::Trace trace = tests::random_trace(schedule, 1000, random);
    const TimeSpan step = step_of(trace);
    SimTime at = step.start;
    for (const PathPiece& piece : critical_path(schedule, ir::match_instances(schedule), trace)) {
      CHECK(piece.start == at);
      CHECK(piece.end > piece.start);
      at = piece.end;
    }
    CHECK(at == step.end);
  }
}

TEST_CASE("a forecast never waits between ops: its path is computation and communication, and as long as the step") {
  for (const char* name : {"mixtral_8x7b_ep8", "ep64_tp2_tiny", "baseline_tp8_pp2"}) {
    const Experiment experiment = load_experiment(std::filesystem::path(FABRICAST_SOURCE_DIR) / "configs/experiments" / (std::string(name) + ".json"));
    const Report report = summarize(experiment, forecast(experiment, {}), sim::Fidelity::flow);
    const CriticalPathSummary& path = report.critical_path;
    CHECK(path.waiting == Seconds(0));
    CHECK((path.computation + path.communication).value() == doctest::Approx(report.step.value()).epsilon(1e-9));
    Seconds sum;
    for (const auto& one : path.classes) sum += one.time;
    CHECK(sum.value() == doctest::Approx(report.step.value()).epsilon(1e-9));
  }
}

}  // namespace fabricast::critical_path_test
