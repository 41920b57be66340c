#include "tests/runtime/jobs.hpp"

#include <doctest/doctest.h>

#include "runtime/numerics.hpp"
#include "tests/runtime/conformance.hpp"

namespace fabricast::tests {

namespace {

using strategy::ExpertInput;
using strategy::ExpertPlacement;

template <class Change>
NamedJob changed(std::string name, Job job, Change change) {
  change(job);
  return {std::move(name), std::move(job)};
}

}  // namespace

Job job_on(std::int64_t gpus, std::int64_t tensor, std::int64_t expert) {
  Job job;
  job.gpus = gpus;
  job.strategy.tensor = tensor;
  job.strategy.expert = expert;
  return job;
}

std::vector<NamedJob> strategy_jobs() {
  return {
      {"one rank", job_on(1)},
      {"TP2", job_on(2, 2)},
      {"DP2", job_on(2)},
      {"EP8", job_on(8, 1, 8)},
      {"EP4_TP2, two experts a position", job_on(8, 2, 4)},
      changed("TP2_PP2, interleaved", job_on(4, 2),
              [](Job& j) {
                j.model.layers = 4;
                j.strategy.pipeline = 2;
                j.strategy.virtual_pipeline = 2;
                j.workload.micro_batches = 4;
              }),
      changed("PP2 over EP4_TP2 with chunks", job_on(8, 2, 4),
              [](Job& j) {
                j.nodes = 2;
                j.strategy.pipeline = 2;
                j.strategy.overlap_chunks = 2;
                j.workload.micro_batches = 2;
              }),
      changed("baseline TP8_PP2", job_on(8, 8),
              [](Job& j) {
                j.nodes = 2;
                j.model.n_heads = j.model.n_kv_heads = 8;
                j.model.d_head = 4;
                j.strategy.pipeline = 2;
                j.strategy.expert_input = ExpertInput::replicated;
                j.workload.micro_batches = 2;
              }),
      changed("striped experts, some positions without any", job_on(8, 2, 4),
              [](Job& j) {
                j.model.moe->experts_per_layer = 3;
                j.strategy.expert_placement = ExpertPlacement::striped;
              }),
      changed("two copies of each expert, in chunks", job_on(8, 1, 8),
              [](Job& j) {
                j.model.moe->experts_per_layer = 4;
                j.strategy.expert_placement = ExpertPlacement::replicated;
                j.strategy.overlap_chunks = 3;
              }),
      changed("zipf routing, so skewed that some experts get no token, in chunks", job_on(8, 2, 4),
              [](Job& j) {
                j.routing.distribution = strategy::RoutingDistribution::zipf;
                j.routing.exponent = 4.0;
                j.strategy.overlap_chunks = 2;
              }),
      changed("hierarchical all-to-all over four nodes", job_on(4, 2, 8),
              [](Job& j) {
                j.nodes = 4;
                j.workload.sequences = 16;
                j.strategy.overlap_chunks = 2;
                j.strategy.algorithms.expert = hw::CollectiveAlgorithm::hierarchical;
              }),
      changed("hierarchical all-to-all over two nodes", job_on(2, 1, 4),
              [](Job& j) {
                j.nodes = 2;
                j.strategy.algorithms.expert = hw::CollectiveAlgorithm::hierarchical;
              }),
  };
}

std::vector<NamedJob> model_jobs() {
  return {
      changed("a dense model", job_on(4, 2), [](Job& j) { j.model.moe.reset(); }),
      changed("GELU experts", job_on(4, 2, 2), [](Job& j) { j.model.mlp = strategy::MlpKind::gelu; }),
      changed("key and value heads shared and copied", job_on(4, 4), [](Job& j) { j.model.n_kv_heads = 2; }),
      changed("attention that sees all tokens", job_on(2, 2), [](Job& j) { j.model.causal = false; }),
      changed("tied embeddings on two stages", job_on(4, 2),
              [](Job& j) {
                j.model.tied_embeddings = true;
                j.model.vocab_size = 2 * j.model.d_model;
                j.strategy.pipeline = 2;
              }),
      changed("logits of each sequence's last token only", job_on(4, 2), [](Job& j) { j.workload.head_on_all_tokens = false; }),
      changed("widths that are no multiples of 16 bytes", job_on(4, 2, 2),
              [](Job& j) {
                j.model.precision = hw::Precision::bf16;
                j.model.d_model = 36;
                j.model.d_head = 6;
                j.model.moe->d_ff = 20;
              }),
      changed("bf16, heads of 64 on tensor cores, sequences of more than one block", job_on(2, 2),
              [](Job& j) {
                j.model.precision = hw::Precision::bf16;
                j.model.layers = 1;
                j.model.d_head = 64;
                j.model.n_kv_heads = 2;
                j.model.max_sequence_length = 150;
                j.workload.sequences = 2;
                j.workload.sequence_length = 150;
              }),
      changed("bf16, heads of 128 on tensor cores", job_on(1),
              [](Job& j) {
                j.model.precision = hw::Precision::bf16;
                j.model.layers = 1;
                j.model.n_heads = j.model.n_kv_heads = 2;
                j.model.d_head = 128;
                j.model.max_sequence_length = 70;
                j.workload.sequences = 1;
                j.workload.sequence_length = 70;
              }),
      changed("bf16 over EP4_TP2 with chunks", job_on(8, 2, 4),
              [](Job& j) {
                j.model.precision = hw::Precision::bf16;
                j.strategy.overlap_chunks = 2;
              }),
  };
}

Job ep64_tp2() {
  Job job = job_on(8, 2, 64);
  job.nodes = 16;
  job.model.moe->experts_per_layer = 64;
  job.workload.sequences = 128;
  return job;
}

std::vector<NodeId> nodes_of(const Job& job, const ir::Schedule& schedule) {
  std::vector<NodeId> nodes;
  for (const ir::RankBinding& rank : schedule.ranks) nodes.push_back(NodeId{rank.gpu.value / static_cast<std::int32_t>(job.gpus)});
  return nodes;
}

runtime::MeasuredRun run_and_check(runtime::Executor& executor, const Job& job, const ir::Schedule& schedule) {
  runtime::RunOptions options;
  options.seed = 7;
  options.warm_up_steps = 0;
  options.timed_steps = 1;
  options.node_of = nodes_of(job, schedule);
  runtime::MeasuredRun run = executor.run(schedule, options);
  check_order(schedule, run.instances, run.steps.at(0));
  check_bytes(schedule, run, options.node_of);
  check_memory(schedule, run);
  const runtime::Numerics numerics = runtime::check_numerics(schedule, run, problem_of(job), options.seed);
  CAPTURE(numerics.max_relative_error);
  CHECK(numerics.passed);
  CHECK(numerics.max_relative_error > 0.0);
  return run;
}

runtime::MeasuredRun run_and_check(runtime::Executor& executor, const Job& job) { return run_and_check(executor, job, schedule_of(job)); }

}  // namespace fabricast::tests
