// Every strategy on the host, all ranks for real: the numbers equal the single-rank reference, and order, bytes and memory are the plan's.
#include <doctest/doctest.h>

#include "runtime/host_compute.hpp"
#include "runtime/host_executor.hpp"
#include "runtime/numerics.hpp"
#include "tests/runtime/conformance.hpp"
#include "tests/runtime/jobs.hpp"
#include "tests/runtime/tiny.hpp"

namespace fabricast::host_conformance_test {

using namespace fabricast;
using namespace fabricast::tests;
using strategy::ExpertInput;
using strategy::ExpertPlacement;

namespace {

runtime::RunOptions short_run() {
  runtime::RunOptions options;
  options.seed = 7;
  options.warm_up_steps = 0;
  options.timed_steps = 1;
  return options;
}

runtime::MeasuredRun run_and_check(const Job& job, const ir::Schedule& schedule) {
  RunCounts counts = no_runs(schedule);
  runtime::HostExecutor executor(std::make_unique<CountingCompute>(std::make_unique<runtime::HostCompute>(), counts));
  runtime::MeasuredRun run = run_and_check(executor, job, schedule);
  check_counts(schedule, counts, 3);  // the timed step, and one before and one after for the numbers
  return run;
}

runtime::MeasuredRun run_and_check(const Job& job) { return run_and_check(job, schedule_of(job)); }

}  // namespace

TEST_CASE("host: a single rank computes what the reference computes") { run_and_check(job_on(1)); }

TEST_CASE("host: TP2") { run_and_check(job_on(2, 2)); }

TEST_CASE("host: EP8") { run_and_check(job_on(8, 1, 8)); }

TEST_CASE("host: EP4_TP2, two experts a position") { run_and_check(job_on(8, 2, 4)); }

TEST_CASE("host: EP2 with expert tensor ranks but no attention tensor ranks") {
  Job job = job_on(4, 1, 2);
  job.strategy.expert_tensor = 2;
  run_and_check(job);
}

TEST_CASE("host: EP4 with attention tensor ranks but no expert tensor ranks") {
  Job job = job_on(4, 2, 4);
  job.strategy.expert_tensor = 1;
  run_and_check(job);
}

TEST_CASE("host: DP2, experts replicated with the data") { run_and_check(job_on(2)); }

TEST_CASE("host: EP2 twice: expert data parallel") { run_and_check(job_on(4, 1, 2)); }

TEST_CASE("host: PP2 with micro-batches") {
  Job job = job_on(2);
  job.strategy.pipeline = 2;
  job.workload.micro_batches = 4;
  run_and_check(job);
}

TEST_CASE("host: TP2_PP2, interleaved") {
  Job job = job_on(4, 2);
  job.model.layers = 4;
  job.strategy.pipeline = 2;
  job.strategy.virtual_pipeline = 2;
  job.workload.micro_batches = 4;
  run_and_check(job);
}

TEST_CASE("host: PP2 over EP4_TP2 with chunks") {
  Job job = job_on(8, 2, 4);
  job.nodes = 2;
  job.strategy.pipeline = 2;
  job.strategy.overlap_chunks = 2;
  job.workload.micro_batches = 2;
  run_and_check(job);
}

TEST_CASE("host: EP64_TP2, all 128 ranks") { run_and_check(ep64_tp2()); }

TEST_CASE("host: EP64_TP2 with zipf routing and chunks") {
  Job job = ep64_tp2();
  job.routing.distribution = strategy::RoutingDistribution::zipf;
  job.strategy.overlap_chunks = 2;
  run_and_check(job);
}

TEST_CASE("host: hierarchical all-to-all, over relays, with the numbers and more bytes than the flat one") {
  for (const double exponent : {0.0, 2.0}) {
    Job job = job_on(4, 2, 8);
    job.nodes = 4;
    job.workload.sequences = 16;
    job.routing.distribution = strategy::RoutingDistribution::zipf;
    job.routing.exponent = exponent;
    job.strategy.overlap_chunks = 2;
    const runtime::MeasuredRun flat = run_and_check(job);
    job.strategy.algorithms.expert = hw::CollectiveAlgorithm::hierarchical;
    const ir::Schedule schedule = schedule_of(job);
    const runtime::MeasuredRun relayed = run_and_check(job, schedule);
    Bytes flat_bytes, relayed_bytes;
    for (const Bytes bytes : flat.moved) flat_bytes += bytes;
    for (const Bytes bytes : relayed.moved) relayed_bytes += bytes;
    CHECK(relayed_bytes > flat_bytes);
    REQUIRE(flat.logits.size() == relayed.logits.size());
    for (std::size_t i = 0; i < flat.logits.size(); ++i) CHECK(flat.logits[i].values == relayed.logits[i].values);
  }
}

TEST_CASE("host: EP64_TP2 with hierarchical all-to-all, all 128 ranks") {
  Job job = ep64_tp2();
  job.strategy.algorithms.expert = hw::CollectiveAlgorithm::hierarchical;
  run_and_check(job);
}

TEST_CASE("host: EP64_TP2 with 16 experts on 4 pairs each, tokens to the nearest copy") {
  Job job = ep64_tp2();
  job.model.moe->experts_per_layer = 16;
  job.strategy.expert_placement = ExpertPlacement::replicated;
  run_and_check(job);
}

TEST_CASE("host: the baseline TP8_PP2, every tensor rank dispatching for its group") {
  Job job = job_on(8, 8);
  job.nodes = 2;
  job.model.n_heads = job.model.n_kv_heads = 8;
  job.model.d_head = 4;
  job.strategy.pipeline = 2;
  job.strategy.expert_input = ExpertInput::replicated;
  job.workload.micro_batches = 2;
  run_and_check(job);
}

TEST_CASE("host: replicated expert input over EP4_TP2") {
  Job job = job_on(8, 2, 4);
  job.strategy.expert_input = ExpertInput::replicated;
  run_and_check(job);
}

TEST_CASE("host: striped experts, some positions without any") {
  Job job = job_on(8, 2, 4);
  job.model.moe->experts_per_layer = 3;
  job.strategy.expert_placement = ExpertPlacement::striped;
  run_and_check(job);
}

TEST_CASE("host: striped experts, several a position") {
  Job job = job_on(6, 2, 3);
  job.workload.sequences = 6;
  job.strategy.expert_placement = ExpertPlacement::striped;
  run_and_check(job);
}

TEST_CASE("host: two copies of each expert, sources dealing over both") {
  for (const std::int64_t chunks : {1, 3}) {
    Job job = job_on(8, 1, 8);
    job.model.moe->experts_per_layer = 4;
    job.strategy.expert_placement = ExpertPlacement::replicated;
    job.strategy.overlap_chunks = chunks;
    run_and_check(job);
  }
}

TEST_CASE("host: chunks of tokens change nothing but the order") {
  for (const std::int64_t chunks : {1, 2, 4}) {
    Job job = job_on(8, 2, 4);
    job.strategy.overlap_chunks = chunks;
    run_and_check(job);
  }
}

TEST_CASE("host: zipf routing, so skewed that some experts get no token") {
  for (const ExpertInput input : {ExpertInput::sequence_sharded, ExpertInput::replicated}) {
    Job job = job_on(8, 2, 4);
    job.routing.distribution = strategy::RoutingDistribution::zipf;
    job.routing.exponent = 4.0;
    job.strategy.expert_input = input;
    run_and_check(job);
  }
}

TEST_CASE("host: a capacity that drops choices") {
  Job job = job_on(4, 1, 4);
  ir::Schedule schedule = schedule_of(job);
  // Every source sends 10 of its 16 tokens to each of the first two experts, 8 to the third, and drops 4 of 32 choices.
  const ir::RoutingShape shape = schedule.routing.shape();
  std::vector<std::uint32_t> counts;
  for (std::int32_t block = 0; block < shape.layers * shape.sources; ++block) {
    for (const std::uint32_t rows : {10U, 10U, 8U, 0U, 0U, 0U, 0U, 0U}) counts.push_back(rows);
  }
  std::vector<std::vector<ir::Replicas>> hosts(2);
  for (auto& layer : hosts) {
    for (std::int32_t expert = 0; expert < 8; ++expert) layer.push_back({{expert / 2}});
  }
  schedule.routing = ir::RoutingPlan::from_counts(shape, 3, counts);
  schedule.routing.place_experts(hosts, {});
  run_and_check(job, schedule);
}

TEST_CASE("host: a dense model") {
  Job job = job_on(4, 2);
  job.model.moe.reset();
  run_and_check(job);
}

TEST_CASE("host: dense and MoE layers in turn") {
  Job job = job_on(4, 2, 2);
  job.model.layers = 4;
  job.model.moe_every = 2;
  job.model.moe_first = 1;
  run_and_check(job);
}

TEST_CASE("host: GELU experts and GELU dense layers") {
  Job job = job_on(4, 2, 2);
  job.model.mlp = strategy::MlpKind::gelu;
  run_and_check(job);
  job.model.moe.reset();
  job.strategy.expert = 1;
  run_and_check(job);
}

TEST_CASE("host: grouped-query attention, heads shared and heads copied") {
  for (const std::int64_t kv_heads : {1, 2}) {
    Job job = job_on(4, 4, 1);
    job.model.n_kv_heads = kv_heads;
    run_and_check(job);
    job = job_on(1);
    job.model.n_kv_heads = kv_heads;
    run_and_check(job);
  }
}

TEST_CASE("host: attention that sees all tokens") {
  Job job = job_on(2, 2);
  job.model.causal = false;
  run_and_check(job);
}

TEST_CASE("host: tied embeddings on one stage and on two") {
  for (const std::int64_t stages : {1, 2}) {
    Job job = job_on(2 * stages, 2);
    job.model.tied_embeddings = true;
    job.model.vocab_size = 2 * job.model.d_model;  // each rank's share of the table is square: only its use tells which way round it is
    job.strategy.pipeline = stages;
    run_and_check(job);
  }
}

TEST_CASE("host: logits of each sequence's last token only") {
  Job job = job_on(4, 2);
  job.workload.head_on_all_tokens = false;
  run_and_check(job);
}

TEST_CASE("host: bf16 storage stays within its own, wider tolerance") {
  for (const std::int64_t chunks : {1, 2}) {
    Job job = job_on(8, 2, 4);
    job.model.precision = hw::Precision::bf16;
    job.strategy.overlap_chunks = chunks;
    run_and_check(job);
  }
}

TEST_CASE("host: sequences longer than a block of the attention kernel") {
  Job job = job_on(2, 2);
  job.model.layers = 1;
  job.model.max_sequence_length = 300;
  job.workload.sequences = 1;
  job.workload.sequence_length = 300;
  run_and_check(job);
}

TEST_CASE("host: two runs agree in every bit, whatever the threads' timing") {
  Job job = job_on(8, 2, 4);
  job.strategy.overlap_chunks = 2;
  const auto a = run_and_check(job), b = run_and_check(job);
  REQUIRE(a.logits.size() == b.logits.size());
  for (std::size_t i = 0; i < a.logits.size(); ++i) CHECK(a.logits[i].values == b.logits[i].values);
}

TEST_CASE("host: another seed gives other numbers") {
  const Job job = job_on(2, 2);
  runtime::RunOptions options = short_run();
  const auto schedule = schedule_of(job);
  const auto a = runtime::HostExecutor().run(schedule, options);
  options.seed = 8;
  const auto b = runtime::HostExecutor().run(schedule, options);
  CHECK(a.logits[0].values != b.logits[0].values);
  CHECK_FALSE(runtime::check_numerics(schedule, a, problem_of(job), options.seed).passed);
}

}  // namespace fabricast::host_conformance_test
