// What goes wrong ends the run within seconds, with one line that names rank and op, and leaves no thread behind.
#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <thread>

#include "runtime/host_compute.hpp"
#include "runtime/host_executor.hpp"
#include "strategies/ir/validate.hpp"
#include "tests/runtime/tiny.hpp"

namespace fabricast::fault_test {

using namespace fabricast;
using namespace fabricast::tests;

namespace {

/// Fails at one op of one rank.
class FailingCompute final : public runtime::Compute {
 public:
  FailingCompute(Rank rank, ir::OpIndex op) : rank_(rank), op_(op) {}
  void run(const runtime::BoundOp& op) override {
    if (op.rank == rank_ && op.index == op_) throw std::runtime_error("the lights went out");
    inner_.run(op);
  }

 private:
  Rank rank_;
  ir::OpIndex op_;
  runtime::HostCompute inner_;
};

/// Slow at one op of one rank.
class SlowCompute final : public runtime::Compute {
 public:
  void run(const runtime::BoundOp& op) override {
    if (op.rank == Rank{1} && op.index == ir::OpIndex{0}) std::this_thread::sleep_for(std::chrono::milliseconds(700));
    inner_.run(op);
  }

 private:
  runtime::HostCompute inner_;
};

Job ep4_tp2() {
  Job job;
  job.gpus = 8;
  job.strategy.tensor = 2;
  job.strategy.expert = 4;
  return job;
}

ir::OpIndex find_op(const ir::Schedule& schedule, const std::string& label) {
  const auto& ops = schedule.programs[0].ops;
  for (std::size_t i = 0; i < ops.size(); ++i) {
    if (schedule.label(ops[i].label) == label) return ir::OpIndex{static_cast<std::int32_t>(i)};
  }
  FAIL("no op ", label);
  return {};
}

std::string error_of(runtime::Executor& executor, const ir::Schedule& schedule, runtime::RunOptions options = {}) {
  const auto begin = std::chrono::steady_clock::now();
  std::string message;
  try {
    (void)executor.run(schedule, options);
  } catch (const std::exception& error) {
    message = error.what();
  }
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(5));
  return message;
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("an op that throws on one rank ends the run, naming rank and op") {
  const auto schedule = schedule_of(ep4_tp2());
  for (const char* label : {"embedding", "attention", "expert_down", "head"}) {
    const ir::OpIndex op = find_op(schedule, label);
    runtime::HostExecutor executor(std::make_unique<FailingCompute>(Rank{5}, op));
    CHECK(error_of(executor, schedule) == ir::describe(schedule, Rank{5}, op) + ": the lights went out");
  }
}

TEST_CASE("the error says where, for programs") {
  const auto schedule = schedule_of(ep4_tp2());
  const ir::OpIndex op = find_op(schedule, "router");
  runtime::HostExecutor executor(std::make_unique<FailingCompute>(Rank{3}, op));
  try {
    (void)executor.run(schedule, {});
    FAIL("the run should have failed");
  } catch (const runtime::ExecutionError& error) {
    REQUIRE(error.place());
    CHECK(error.place()->rank == Rank{3});
    CHECK(error.place()->op == op);
  }
}

TEST_CASE("a member that lacks a collective is found before anything runs") {
  Job job;
  job.gpus = 2;
  job.strategy.tensor = 2;
  auto schedule = schedule_of(job);
  schedule.programs.push_back(schedule.programs[0]);
  schedule.programs[1].ops.pop_back();  // the head
  schedule.programs[1].ops.pop_back();  // the all-gather before it
  schedule.ranks[1].program = ir::ProgramId{1};
  runtime::HostExecutor executor;
  const std::string message = error_of(executor, schedule);
  CHECK_THROWS_AS((void)executor.run(schedule, {}), ir::ScheduleError);
  CHECK(contains(message, "rank 0"));
  CHECK(contains(message, "head_all_gather"));
}

TEST_CASE("a collective whose members mean other sizes ends the run, naming rank and op") {
  Job job;
  job.gpus = 2;
  job.strategy.tensor = 2;
  auto schedule = schedule_of(job);
  const ir::OpIndex op = find_op(schedule, "attention_all_gather");
  schedule.programs.push_back(schedule.programs[0]);
  std::get<ir::Collective>(schedule.programs[1].ops[op.index()].work).shard.scale -= 1;
  schedule.programs[1].ops[op.index()].reads[0].rows = ir::Extent::constant(31);
  schedule.ranks[1].program = ir::ProgramId{1};
  runtime::HostExecutor executor;
  const std::string message = error_of(executor, schedule);
  CHECK(contains(message, ir::describe(schedule, Rank{1}, op)));
  CHECK(contains(message, "mismatch"));
}

TEST_CASE("collectives issued crosswise stall, the run ends and says which op waits for which rank") {
  // Two ranks in a tensor group and in an expert-tensor group: one gathers over the first first, the other over the second, on one stream.
  Job job;
  job.gpus = 2;
  job.strategy.tensor = 2;
  auto schedule = schedule_of(job);
  auto& ops = schedule.programs[0].ops;
  const std::size_t gather = find_op(schedule, "head_all_gather").index();
  ir::Op other = ops[gather];
  std::get<ir::Collective>(other.work).axis = ir::Axis::expert_tensor;
  ops.insert(ops.begin() + static_cast<std::ptrdiff_t>(gather), other);
  ops.back().after = {ir::OpIndex{static_cast<std::int32_t>(gather + 1)}};
  schedule.programs.push_back(schedule.programs[0]);
  std::swap(schedule.programs[1].ops[gather].work, schedule.programs[1].ops[gather + 1].work);
  schedule.ranks[1].program = ir::ProgramId{1};
  runtime::RunOptions options;
  options.stall_timeout = Seconds(0.5);
  runtime::HostExecutor executor;
  const std::string message = error_of(executor, schedule, options);
  CAPTURE(message);
  CHECK(contains(message, "no op ended for 0.5 s"));
  CHECK(contains(message, ir::describe(schedule, Rank{0}, ir::OpIndex{static_cast<std::int32_t>(gather)}) + " waits for rank 1"));
  CHECK(contains(message, ir::describe(schedule, Rank{1}, ir::OpIndex{static_cast<std::int32_t>(gather)}) + " waits for rank 0"));
}

TEST_CASE("a slow op is no stall: all others may wait for it longer than the timeout") {
  Job job;
  job.gpus = 2;
  job.strategy.tensor = 2;
  const auto schedule = schedule_of(job);
  runtime::RunOptions options;
  options.stall_timeout = Seconds(0.3);
  options.warm_up_steps = 0;
  options.timed_steps = 1;
  options.keep_logits = false;
  runtime::HostExecutor executor(std::make_unique<SlowCompute>());
  CHECK(error_of(executor, schedule, options).empty());
}

TEST_CASE("a precision that the host does not compute in is refused with the remedy") {
  Job job;
  job.model.precision = hw::Precision::fp8;
  runtime::HostExecutor executor;
  CHECK(error_of(executor, schedule_of(job)) ==
        "the host backend computes in fp32 and bf16, not in fp8; set model.precision to one of them");
}

TEST_CASE("more memory than the machine has is refused before it is asked for") {
  Job job;
  job.model.vocab_size = std::int64_t{1} << 36;
  runtime::HostExecutor executor;
  const auto schedule = schedule_of(job);
  CHECK_THROWS_AS((void)executor.run(schedule, {}), runtime::BackendUnavailable);
  CHECK(contains(error_of(executor, schedule), "GB together and this machine has"));
}

TEST_CASE("a run needs a timed step") {
  runtime::RunOptions options;
  options.timed_steps = 0;
  CHECK_THROWS_AS((void)runtime::HostExecutor().run(schedule_of({}), options), std::invalid_argument);
}

}  // namespace fabricast::fault_test
