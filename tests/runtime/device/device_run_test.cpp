// The CUDA backend on a device that the host plays (host_device.hpp): all of it but nvcc's code, cublasLt and NCCL.
#include "runtime/cuda/device_run.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "runtime/tcp_rendezvous.hpp"
#include "tests/runtime/device/host_device.hpp"
#include "tests/runtime/jobs.hpp"
#include "tests/runtime/free_port.hpp"

namespace fabricast::device_run_test {

using namespace fabricast;
using namespace fabricast::tests;
using runtime::CudaMode;

namespace {

class Executor final : public runtime::Executor {
 public:
  explicit Executor(const runtime::CudaOptions& options) : options_(options) {}
  [[nodiscard]] runtime::MeasuredRun run(const ir::Schedule& schedule, const runtime::RunOptions& run) override {
    return runtime::cuda::DeviceRun(schedule, run, options_).run();
  }

 private:
  runtime::CudaOptions options_;
};

runtime::CudaOptions options_of(CudaMode mode, std::int32_t rank = 0) {
  runtime::CudaOptions options;
  options.mode = mode;
  options.rank = Rank{rank};
  return options;
}

/// Each rank as a process would run it, but in a thread; they meet over TCP. Rank `absent` leaves once all have met.
class DistributedExecutor final : public runtime::Executor {
 public:
  explicit DistributedExecutor(std::int32_t absent = -1) : absent_(absent) {}

  [[nodiscard]] runtime::MeasuredRun run(const ir::Schedule& schedule, const runtime::RunOptions& options) override {
    const auto ranks = static_cast<std::int32_t>(schedule.ranks.size());
    const std::uint16_t port = free_port();
    std::vector<runtime::MeasuredRun> runs(schedule.ranks.size());
    std::vector<std::string> errors(schedule.ranks.size());
    std::vector<std::jthread> threads;
    for (std::int32_t r = 0; r < ranks; ++r) {
      threads.emplace_back([&, r] {
        try {
          runtime::TcpRendezvous rendezvous({"127.0.0.1", port, Rank{r}, ranks, Seconds(60)});
          if (r == absent_) return;
          runtime::CudaOptions cuda = options_of(CudaMode::distributed, r);
          cuda.rendezvous = &rendezvous;
          runs[static_cast<std::size_t>(r)] = runtime::cuda::DeviceRun(schedule, options, cuda).run();
        } catch (const std::exception& error) {
          errors[static_cast<std::size_t>(r)] = error.what();
        }
      });
    }
    threads.clear();
    for (const std::string& error : errors) {
      if (!error.empty()) throw runtime::ExecutionError(error);
    }
    for (const runtime::MeasuredRun& run : runs) {   // every process leaves with the run of all
      REQUIRE(run.logits.size() == runs[0].logits.size());
      for (std::size_t i = 0; i < run.logits.size(); ++i) CHECK(run.logits[i].values == runs[0].logits[i].values);
      CHECK(run.step_length.median == runs[0].step_length.median);
    }
    return std::move(runs[0]);
  }

 private:
  std::int32_t absent_;
};

Job small_job() {
  Job job;
  job.gpus = 4;
  job.strategy.tensor = 2;
  job.strategy.expert = 2;
  return job;
}

runtime::RunOptions one_step() {
  runtime::RunOptions options;
  options.warm_up_steps = 0;
  options.timed_steps = 1;
  return options;
}

template <class Body>
std::string message_of(Body body) {
  try {
    body();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "no error";
}

void check_contains(const std::string& text, const std::string& part) {
  CAPTURE(text);
  CHECK(text.find(part) != std::string::npos);
}

/// Of ranks 0 to 2, where rank 3 ends after the first step.
std::vector<std::string> errors_beside_a_rank_that_stops(const std::function<void(const std::string&)>& give_up) {
  Job job = small_job();
  job.strategy.overlap_chunks = 2;
  const ir::Schedule schedule = schedule_of(job);
  const std::uint16_t port = free_port();
  std::vector<std::string> errors(4);
  std::atomic<int> running{4};
  std::vector<std::jthread> threads;
  for (std::int32_t r = 0; r < 4; ++r) {
    threads.emplace_back([&, r] {
      runtime::TcpRendezvous rendezvous({"127.0.0.1", port, Rank{r}, 4, Seconds(60)});
      runtime::CudaOptions cuda = options_of(CudaMode::distributed, r);
      cuda.rendezvous = &rendezvous;
      if (r < 3) cuda.give_up = give_up;
      runtime::RunOptions options = one_step();
      options.keep_logits = false;
      options.timed_steps = r == 3 ? 1 : 2;
      options.stall_timeout = Seconds(0.3);
      errors[static_cast<std::size_t>(r)] = message_of([&] { (void)runtime::cuda::DeviceRun(schedule, options, cuda).run(); });
      --running;
      while (running > 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));   // its sockets stay open
    });
  }
  threads.clear();
  return errors;
}

}  // namespace

TEST_CASE("virtual ranks: numbers, order, bytes and memory of every strategy") {
  Executor executor(options_of(CudaMode::virtual_ranks));
  for (const NamedJob& named : strategy_jobs()) {
    CAPTURE(named.name);
    run_and_check(executor, named.job);
  }
  CHECK(things_alive() == 0);
}

TEST_CASE("virtual ranks: every kind of model, and so every kernel") {
  Executor executor(options_of(CudaMode::virtual_ranks));
  for (const NamedJob& named : model_jobs()) {
    CAPTURE(named.name);
    run_and_check(executor, named.job);
  }
}

TEST_CASE("virtual ranks: EP64_TP2, all 128 on one device") {
  Executor executor(options_of(CudaMode::virtual_ranks));
  run_and_check(executor, ep64_tp2());
}

TEST_CASE("virtual ranks: whatever stream goes first, every bit is the same") {
  Job job = small_job();
  job.strategy.overlap_chunks = 2;
  Executor executor(options_of(CudaMode::virtual_ranks));
  const runtime::MeasuredRun first = run_and_check(executor, job);
  for (const std::uint64_t seed : {11, 12, 13, 14, 15, 16}) {
    draw_streams_by(seed);
    const runtime::MeasuredRun run = run_and_check(executor, job);
    REQUIRE(run.logits.size() == first.logits.size());
    for (std::size_t i = 0; i < run.logits.size(); ++i) CHECK(run.logits[i].values == first.logits[i].values);
  }
}

TEST_CASE("distributed: a job of one rank needs no peers and no NCCL call") {
  Executor executor(options_of(CudaMode::distributed));
  Job job;
  job.gpus = 1;
  run_and_check(executor, job);
}

TEST_CASE("distributed: numbers, order, bytes and memory of what four ranks can run") {
  DistributedExecutor executor;
  for (const std::vector<NamedJob>& jobs : {strategy_jobs(), model_jobs()}) {
    for (const NamedJob& named : jobs) {
      if (named.job.nodes * named.job.gpus > 4) continue;
      CAPTURE(named.name);
      run_and_check(executor, named.job);
    }
  }
  CHECK(hanging_connections() == 0);
  CHECK(things_alive() == 0);
}

TEST_CASE("distributed: a rank that leaves ends the run for the others, and is named") {
  DistributedExecutor executor(2);
  check_contains(message_of([&] { (void)executor.run(schedule_of(small_job()), one_step()); }), "rank 2");
  CHECK(things_alive() == 0);
}

TEST_CASE("distributed: a rank that stops within a step ends the run for the others, which name it") {
  const std::vector<std::string> errors = errors_beside_a_rank_that_stops({});
  for (std::size_t r = 0; r < 3; ++r) check_contains(errors[r], "no op has ended for 0.3 s: rank " + std::to_string(r));
  CHECK(hanging_aborts() == 0);
  CHECK(things_alive() == 0);
}

TEST_CASE("distributed: where NCCL does not even come back from an abort, the process is told to end, and why") {
  hold_aborts(true);
  std::mutex mutex;
  std::string said;
  (void)errors_beside_a_rank_that_stops([&](const std::string& why) {
    const std::lock_guard lock(mutex);
    said = why;
    hold_aborts(false);
  });
  check_contains(said, "no op has ended for 0.3 s: rank ");
  CHECK(things_alive() == 0);
}

TEST_CASE("slice: every op of the rank has its time, no other rank has any, and no logits are kept") {
  const ir::Schedule schedule = schedule_of(small_job());
  for (const bool has_traffic : {false, true}) {
    runtime::CudaOptions options = options_of(CudaMode::slice, 3);
    if (has_traffic) options.traffic = runtime::Traffic{2, BytesPerSecond(1e9)};
    const runtime::MeasuredRun run = Executor(options).run(schedule, one_step());
    for (const ir::OpInterval& op : run.steps.at(0).ops[3]) {
      CHECK(op.end > SimTime{});
      CHECK(op.issued <= op.start);
      CHECK(op.start <= op.end);
    }
    for (const ir::OpInterval& op : run.steps[0].ops[2]) CHECK(op.end == SimTime{});
    CHECK(run.arena[3] == ir::plan_memory(schedule, Rank{3}).peak);
    CHECK(run.arena[2] == Bytes{});
    CHECK(run.logits.empty());
  }
  CHECK(things_alive() == 0);
}

TEST_CASE("the clock is the median of what it was in timed steps, and the driver is named") {
  runtime::RunOptions options = one_step();
  options.warm_up_steps = 2;
  options.timed_steps = 3;
  Executor executor(options_of(CudaMode::virtual_ranks));
  const double before = executor.run(schedule_of(small_job()), options).machine.clock_mhz;
  const runtime::Machine machine = executor.run(schedule_of(small_job()), options).machine;
  CHECK(machine.clock_mhz == before - 30);   // a sample each step, 10 MHz less each
  CHECK(machine.driver == "580.65.06");
}

TEST_CASE("what cannot run says so in one line, and leaves nothing behind") {
  const ir::Schedule schedule = schedule_of(small_job());
  const auto run = [&](const runtime::CudaOptions& options) { return message_of([&] { (void)Executor(options).run(schedule, one_step()); }); };
  check_contains(run(options_of(CudaMode::slice, 4)), "rank 4 is not in this experiment, which has 4 ranks");
  check_contains(run(options_of(CudaMode::distributed)), "the experiment has 4 ranks and the job has 1 processes");
  const std::size_t all = set_free_memory(1000);
  check_contains(run(options_of(CudaMode::virtual_ranks)), "out of device memory: the 4 ranks need");
  check_contains(run(options_of(CudaMode::slice, 1)), "out of device memory: rank 1 needs");
  set_free_memory(all);
  CHECK(things_alive() == 0);
}

TEST_CASE("a kernel that goes astray ends the run with rank and op") {
  // The fault comes with the first step's work, which the device does when it is asked for its events.
  const ir::Schedule schedule = schedule_of(small_job());
  runtime::CudaOptions options = options_of(CudaMode::virtual_ranks);
  runtime::cuda::DeviceRun run(schedule, one_step(), options);
  set_broken(true);
  check_contains(message_of([&] { (void)run.run(); }), "an illegal memory access was encountered");
  set_broken(false);
}

}  // namespace fabricast::device_run_test
