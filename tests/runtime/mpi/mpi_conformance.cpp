// One process a rank, over MPI: the same conditions as on the host's threads, and the same numbers in every bit. Started by mpirun with 2 or
// 8 processes, each of which checks the run of all.
#include <doctest/doctest.h>

#include <memory>

#include "runtime/host_executor.hpp"
#include "runtime/mpi/mpi_executor.hpp"
#include "runtime/numerics.hpp"
#include "tests/runtime/conformance.hpp"
#include "tests/runtime/tiny.hpp"

using namespace fabricast;
using namespace fabricast::tests;

namespace {

const runtime::MpiWorld* world = nullptr;

Job job_of(std::int64_t tensor, std::int64_t expert, std::int64_t pipeline = 1) {
  Job job;
  job.gpus = world->size();
  job.strategy.tensor = tensor;
  job.strategy.expert = expert;
  job.strategy.pipeline = pipeline;
  return job;
}

void check_job(const Job& job) {
  const ir::Schedule schedule = schedule_of(job);
  runtime::RunOptions options;
  options.seed = 7;
  options.warm_up_steps = 0;
  options.timed_steps = 2;
  for (const ir::RankBinding& rank : schedule.ranks) options.node_of.push_back(NodeId{rank.gpu.value / static_cast<std::int32_t>(job.gpus)});
  runtime::MpiExecutor executor(*world);
  const runtime::MeasuredRun run = executor.run(schedule, options);
  for (const ir::Trace& step : run.steps) check_order(schedule, run.instances, step);
  check_bytes(schedule, run, options.node_of);
  check_memory(schedule, run);
  CHECK(runtime::check_numerics(schedule, run, problem_of(job), options.seed).passed);

  const runtime::MeasuredRun threads = runtime::HostExecutor().run(schedule, options);
  REQUIRE(run.logits.size() == threads.logits.size());
  for (std::size_t i = 0; i < run.logits.size(); ++i) CHECK(run.logits[i].values == threads.logits[i].values);
}

bool runs_on(std::int32_t processes) { return world->size() == processes; }

}  // namespace

TEST_CASE("TP2") {
  if (runs_on(2)) check_job(job_of(2, 1));
}

TEST_CASE("EP2, and two replicas with all experts each") {
  if (!runs_on(2)) return;
  check_job(job_of(1, 2));
  check_job(job_of(1, 1));
}

TEST_CASE("PP2 with micro-batches") {
  if (!runs_on(2)) return;
  Job job = job_of(1, 1, 2);
  job.workload.micro_batches = 4;
  check_job(job);
}

TEST_CASE("EP8") {
  if (runs_on(8)) check_job(job_of(1, 8));
}

TEST_CASE("EP4_TP2 with zipf routing, chunks and bf16") {
  if (!runs_on(8)) return;
  Job job = job_of(2, 4);
  job.strategy.overlap_chunks = 2;
  job.routing.distribution = strategy::RoutingDistribution::zipf;
  job.model.precision = hw::Precision::bf16;
  check_job(job);
}

TEST_CASE("hierarchical all-to-all over two nodes of four") {
  if (!runs_on(8)) return;
  Job job = job_of(1, 8);
  job.nodes = 2;
  job.gpus = 4;
  job.strategy.algorithms.expert = hw::CollectiveAlgorithm::hierarchical;
  check_job(job);
}

TEST_CASE("PP2 over EP2_TP2, every tensor rank dispatching for its group") {
  if (!runs_on(8)) return;
  Job job = job_of(2, 2, 2);
  job.workload.micro_batches = 2;
  job.strategy.expert_input = strategy::ExpertInput::replicated;
  check_job(job);
}

TEST_CASE("two copies of each expert and striped experts, in chunks") {
  if (!runs_on(8)) return;
  Job job = job_of(1, 8);
  job.model.moe->experts_per_layer = 4;
  job.strategy.expert_placement = strategy::ExpertPlacement::replicated;
  job.strategy.overlap_chunks = 2;
  check_job(job);
  job = job_of(2, 4);
  job.model.moe->experts_per_layer = 3;
  job.strategy.expert_placement = strategy::ExpertPlacement::striped;
  check_job(job);
}

TEST_CASE("another number of processes than ranks is refused before anything runs") {
  Job job = job_of(1, 1);
  job.gpus = world->size() + 1;
  job.workload.sequences = job.gpus * 2;
  runtime::MpiExecutor executor(*world);
  CHECK_THROWS_WITH_AS((void)executor.run(schedule_of(job), {}), doctest::Contains("start one for each: mpirun -n"),
                       runtime::BackendUnavailable);
}

int main(int argc, char** argv) {
  const auto owned = std::make_unique<runtime::MpiWorld>();
  world = owned.get();
  const int failed = doctest::Context(argc, argv).run();
  if (failed != 0) runtime::MpiWorld::abort(1);   // others may wait in a step that this process will not begin
  return 0;
}
