// Pipelines of equal stages against the published idle shares.
#include <doctest/doctest.h>

#include <array>
#include <string>
#include <vector>

#include "sim/simulate.hpp"
#include "strategies/pipeline.hpp"
#include "tests/sim/replays.hpp"
#include "tests/strategies/ir/hand_made.hpp"

namespace fabricast::pipeline_replay_test {

using namespace fabricast;
using ir::Axis;
using ir::HandMade;
using strategy::Pass;
using strategy::PipelineUnit;

namespace {

constexpr std::int64_t forward_rows = 10'000, backward_rows = 20'000;

/// Builds one stage's program: units in order on the compute stream, messages on a stream per direction and pass.
class StageProgram {
 public:
  StageProgram(HandMade& made, std::int32_t stage, std::int32_t stages, std::int32_t chunks)
      : made_(made), stage_(stage), stages_(stages), chunks_(chunks) {
    made.schedule().programs[static_cast<std::size_t>(stage)].streams = {"compute", "forward in", "forward out", "backward in",
                                                                         "backward out"};
  }

  void add(const PipelineUnit& unit) {
    const bool forward = unit.pass == Pass::forward;
    const std::int32_t place = unit.chunk * stages_ + stage_, last = chunks_ * stages_ - 1;  // along the model
    const std::int32_t from = place - (forward ? 1 : -1), to = place + (forward ? 1 : -1);
    const std::int32_t in = forward ? 1 : 3, out = in + 1;
    std::vector<ir::OpIndex> after;
    if (from >= 0 && from <= last) after.push_back(op(in, ir::Recv{Axis::pipeline, from % stages_, tag(unit, from), ir::rows(0), 1}, {}));
    const auto work = op(0, ir::compute(forward ? forward_rows : backward_rows), after);
    if (to >= 0 && to <= last) op(out, ir::Send{Axis::pipeline, to % stages_, tag(unit, place), ir::rows(0), 1}, {work});
  }

 private:
  ir::OpIndex op(std::int32_t stream, ir::Work work, std::vector<ir::OpIndex> after) {
    return made_.op(stream, std::move(work), std::move(after), {}, {}, static_cast<std::size_t>(stage_));
  }
  /// One per micro-batch, sender's place in the model and pass.
  [[nodiscard]] std::int32_t tag(const PipelineUnit& unit, std::int32_t sender) const {
    return (unit.micro_batch * chunks_ * stages_ + sender) * 2 + (unit.pass == Pass::forward ? 0 : 1);
  }

  HandMade& made_;
  std::int32_t stage_, stages_, chunks_;
};

/// order(stage) gives the stage's units. Messages are empty, so that the bubble is the schedule's alone.
template <class Order>
SimTime step_time(std::int32_t stages, std::int32_t chunks, Order order) {
  HandMade made(stages);
  std::vector<std::int32_t> all;
  for (std::int32_t stage = 0; stage < stages; ++stage) {
    if (stage > 0) made.own_program(stage);
    all.push_back(stage);
  }
  made.group(Axis::pipeline, all);
  for (std::int32_t stage = 0; stage < stages; ++stage) {
    StageProgram program(made, stage, stages, chunks);
    for (const PipelineUnit& unit : order(stage)) program.add(unit);
  }
  return tests::last_end(tests::replay(tests::ideal_cluster(1, stages), made.schedule()).trace);
}

SimTime unit_time(std::int64_t rows) {
  const hw::GpuCostModel model(tests::ideal_cluster(1, 1).gpu);
  return to_sim_time(model.time(hw::RmsNorm<std::int64_t>{rows, 8, hw::Precision::bf16}));
}

/// Forward and backward of one chunk.
SimTime both() { return unit_time(forward_rows) + unit_time(backward_rows); }

struct Shape { std::int32_t stages, micro_batches; };
constexpr std::array shapes{Shape{2, 2}, Shape{4, 4}, Shape{4, 8}, Shape{8, 16}, Shape{3, 12}};

}  // namespace

// step = (m + p - 1)(f + b): an idle share of (p-1)/(m+p-1).
TEST_CASE("GPipe's bubble is (p-1)/(m+p-1) of the step") {
  for (const auto [p, m] : shapes) {
    const SimTime step = step_time(p, 1, [m = m](std::int32_t) { return strategy::gpipe_order(m); });
    CHECK(step == both() * (m + p - 1));
  }
}

// The same: 1F1B saves memory, not time.
TEST_CASE("1F1B's bubble is (p-1)/(m+p-1) of the step") {
  for (const auto [p, m] : shapes) {
    const SimTime step =
        step_time(p, 1, [p = p, m = m](std::int32_t stage) { return strategy::one_forward_one_backward_order(stage, p, m); });
    CHECK(step == both() * (m + p - 1));
  }
}

// With v chunks of f and b each per stage: step = (v·m + p - 1)(f + b), an idle share of (p-1)/(v·m+p-1).
TEST_CASE("the interleaved bubble is (p-1)/(v·m+p-1) of the step") {
  for (const auto [p, m] : {Shape{2, 4}, Shape{4, 4}, Shape{4, 8}}) {
    for (const std::int32_t v : {2, 3}) {
      const SimTime step =
          step_time(p, v, [p = p, m = m, v](std::int32_t stage) { return strategy::interleaved_order(stage, p, m, v); });
      CHECK(step == both() * (std::int64_t{v} * m + p - 1));
    }
  }
}

// Forward only: step = (v·m + p - 1) f.
TEST_CASE("a forward pipeline fills in p-1 units") {
  for (const auto [p, m] : {Shape{2, 4}, Shape{4, 8}}) {
    for (const std::int32_t v : {1, 2}) {
      const SimTime step = step_time(p, v, [p = p, m = m, v](std::int32_t) { return strategy::forward_order(p, m, v); });
      CHECK(step == unit_time(forward_rows) * (std::int64_t{v} * m + p - 1));
    }
  }
}

}  // namespace fabricast::pipeline_replay_test
