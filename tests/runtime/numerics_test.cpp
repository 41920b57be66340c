// The check of the numbers must fail when they are wrong.
#include "runtime/numerics.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <set>
#include <string>

#include "runtime/bf16.hpp"
#include "runtime/execute.hpp"
#include "runtime/host_compute.hpp"
#include "runtime/host_executor.hpp"
#include "tests/runtime/tiny.hpp"

namespace fabricast::numerics_test {

using namespace fabricast;
using namespace fabricast::tests;

namespace {

struct Ran {
  Job job;
  ir::Schedule schedule;
  runtime::Execution execution;
};

Ran run() {
  Ran ran;
  ran.job.gpus = 4;
  ran.job.strategy.tensor = 2;
  ran.job.workload.micro_batches = 2;
  ran.schedule = schedule_of(ran.job);
  runtime::ExecuteOptions options;
  options.problem = problem_of(ran.job);
  options.run.timed_steps = 3;
  runtime::HostExecutor executor;
  ran.execution = runtime::execute(ran.schedule, executor, options);
  return ran;
}

enum class Wrong { rows_swapped, scaled };

/// A kernel with a mistake: wherever ops of one label run, the first and last row of what they write change places, or all of it is longer
/// by an eighth. Written for bf16.
class WrongCompute final : public runtime::Compute {
 public:
  WrongCompute(const ir::Schedule& schedule, std::string label, Wrong wrong) : schedule_(schedule), label_(std::move(label)), wrong_(wrong) {}
  void run(const runtime::BoundOp& op) override {
    inner_.run(op);
    if (schedule_.label(op.op->label) != label_) return;
    for (const runtime::View& view : op.writes) wrong_ == Wrong::scaled ? scale(view) : swap(view);
  }

 private:
  static void swap(const runtime::View& view) {
    const auto bytes = view.bytes();
    if (view.rows > 1) std::swap_ranges(bytes.begin(), bytes.begin() + view.row_bytes, bytes.end() - view.row_bytes);
  }
  static void scale(const runtime::View& view) {
    auto* const values = reinterpret_cast<runtime::Bf16*>(view.data);
    for (std::int64_t i = 0; i < view.rows * view.row_bytes / 2; ++i) runtime::store(1.125F * runtime::to_float(values[i]), values[i]);
  }

  const ir::Schedule& schedule_;
  std::string label_;
  Wrong wrong_;
  runtime::HostCompute inner_;
};

Job bf16_on_eight_ranks() {
  Job job;
  job.gpus = 8;
  job.strategy.tensor = 2;
  job.strategy.expert = 4;
  job.model.precision = hw::Precision::bf16;
  return job;
}

runtime::Numerics numerics_with(const Job& job, const ir::Schedule& schedule, std::unique_ptr<runtime::Compute> compute) {
  runtime::ExecuteOptions options;
  options.problem = problem_of(job);
  options.run.timed_steps = 1;
  options.run.warm_up_steps = 0;
  runtime::HostExecutor executor(std::move(compute));
  return *runtime::execute(schedule, executor, options).numerics;
}

std::set<std::string> computing_labels(const ir::Schedule& schedule) {
  std::set<std::string> labels;
  for (const ir::Op& op : schedule.programs[0].ops) {
    if (!ir::communicates(op.work)) labels.insert(std::string(schedule.label(op.label)));
  }
  return labels;
}

runtime::Numerics check(const Ran& ran) { return runtime::check_numerics(ran.schedule, ran.execution.run, problem_of(ran.job), 1); }

}  // namespace

TEST_CASE("execute checks the numbers where it knows the problem, and measures every timed step") {
  const Ran ran = run();
  REQUIRE(ran.execution.numerics);
  CHECK(ran.execution.numerics->passed);
  CHECK(ran.execution.run.steps.size() == 3);
  CHECK(ran.execution.run.step_length.p10 <= ran.execution.run.step_length.median);
  CHECK(ran.execution.run.step_length.median > Seconds(0));
  runtime::HostExecutor executor;
  CHECK(runtime::execute(ran.schedule, executor, {}).run.logits.empty());
  CHECK_FALSE(runtime::execute(ran.schedule, executor, {}).numerics);
}

TEST_CASE("one logit off by more than the tolerance of the largest fails the check, by less it does not") {
  Ran ran = run();
  const double largest_allowed = runtime::tolerance_of(hw::Precision::fp32, ran.job.model.layers);
  auto& values = ran.execution.run.logits[3].values;
  const auto before = values;
  values[5] += static_cast<float>(10 * largest_allowed);  // the largest logit is about 3
  CHECK_FALSE(check(ran).passed);
  values = before;
  values[5] += static_cast<float>(0.1 * largest_allowed);
  CHECK(check(ran).passed);
}

TEST_CASE("two rows that any kernel exchanges fail the check in bf16") {
  const Job job = bf16_on_eight_ranks();
  const ir::Schedule schedule = schedule_of(job);
  const std::set<std::string> labels = computing_labels(schedule);
  CHECK(labels.size() > 12);
  CHECK(numerics_with(job, schedule, std::make_unique<runtime::HostCompute>()).passed);
  for (const std::string& label : labels) {
    CAPTURE(label);
    CHECK_FALSE(numerics_with(job, schedule, std::make_unique<WrongCompute>(schedule, label, Wrong::rows_swapped)).passed);
  }
}

TEST_CASE("a kernel an eighth off fails the check in bf16") {
  const Job job = bf16_on_eight_ranks();
  const ir::Schedule schedule = schedule_of(job);
  for (const char* label : {"qkv_projection", "attention", "output_projection", "mlp_norm", "expert_gate_up", "expert_activation", "expert_down"}) {
    CAPTURE(label);
    CHECK_FALSE(numerics_with(job, schedule, std::make_unique<WrongCompute>(schedule, label, Wrong::scaled)).passed);
  }
}

TEST_CASE("logits that are no numbers fail the check, wherever they stand") {
  for (const std::size_t shard : {std::size_t{0}, std::size_t{7}}) {
    Ran ran = run();
    ran.execution.run.logits[shard].values[0] = std::numeric_limits<float>::quiet_NaN();
    CHECK_FALSE(check(ran).passed);
  }
}

TEST_CASE("logits in the wrong place fail the check") {
  Ran ran = run();
  std::swap(ran.execution.run.logits[0].values, ran.execution.run.logits[1].values);
  CHECK_FALSE(check(ran).passed);
}

TEST_CASE("a step that repeats other bits fails the check") {
  Ran ran = run();
  ran.execution.run.logits_repeat = false;
  CHECK_FALSE(check(ran).passed);
}

TEST_CASE("missing logits, and logits of another problem, are our mistake") {
  Ran ran = run();
  ran.execution.run.logits.pop_back();
  CHECK_THROWS_AS((void)check(ran), std::logic_error);
  ran = run();
  ran.job.workload.sequence_length = 4;
  CHECK_THROWS_AS((void)check(ran), std::logic_error);
}

TEST_CASE("a check that would take hours is refused before the run, a small one is not") {
  Job job;
  job.gpus = 4;
  runtime::Problem problem = problem_of(job);
  CHECK_NOTHROW(runtime::require_checkable(problem));
  // The guide's 64 experts of 4096 · 8192 in 32 layers, 128 sequences of 10,000 tokens: 2 · 10^16 FLOP and more on a core of 10^10 a second
  problem.model = {32, 4096, 32, 32, 128, 51200, 0, true, true, false, hw::Precision::bf16, runtime::MoeShape{64, 2, 8192}, std::vector<bool>(32, true)};
  problem.sequences = 128;
  problem.sequence_length = 10000;
  CHECK(runtime::time_of_reference(problem) > Seconds(2e6));
  CHECK_THROWS_WITH_AS(runtime::require_checkable(problem), doctest::Contains("give --no-check"), runtime::BackendUnavailable);
}

}  // namespace fabricast::numerics_test
