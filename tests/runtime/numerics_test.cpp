// The check of the numbers must fail when they are wrong.
#include "runtime/numerics.hpp"

#include <doctest/doctest.h>

#include <limits>

#include "runtime/execute.hpp"
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

TEST_CASE("one logit off by more than the tolerance of the largest fails the check; by less it does not") {
  Ran ran = run();
  const double largest_allowed = runtime::tolerance_of(hw::Precision::fp32);
  auto& values = ran.execution.run.logits[3].values;
  const auto before = values;
  values[5] += static_cast<float>(10 * largest_allowed);  // the largest logit is about 3
  CHECK_FALSE(check(ran).passed);
  values = before;
  values[5] += static_cast<float>(0.1 * largest_allowed);
  CHECK(check(ran).passed);
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

}  // namespace fabricast::numerics_test
