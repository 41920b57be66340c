// The schedule of the guide's EP64_TP2, number by number, before any time is known; then properties of every strategy.
#include "strategies/build.hpp"

#include <doctest/doctest.h>

#include <map>
#include <set>
#include <string>

#include "strategies/ir/instances.hpp"
#include "strategies/ir/memory_plan.hpp"
#include "strategies/ir/resolve.hpp"
#include "tests/hardware_models/test_cluster.hpp"
#include "tests/strategies/guide.hpp"

namespace fabricast::build_test {

using namespace fabricast;
using namespace fabricast::strategy;

namespace {

ir::Schedule build(const ModelSpec& model, const StrategySpec& strategy, WorkloadSpec workload = tests::guide_workload()) {
  return build_schedule(model, workload, strategy, {}, hw::Topology(tests::h100_16x8()));
}

const ir::Schedule& guide() {
  static const ir::Schedule schedule = build(tests::guide_model(), tests::guide_strategy());
  return schedule;
}

/// FLOP of one rank by label.
std::map<std::string, double> flop_by_label(const ir::Schedule& schedule, Rank rank) {
  std::map<std::string, double> result;
  for (const ir::Op& op : schedule.program_of(rank).ops) {
    if (const auto kernel = ir::resolve_kernel(op.work, schedule, rank)) result[schedule.label(op.label)] += hw::flop(*kernel).value();
  }
  return result;
}

double model_flop(const ir::Schedule& schedule) {
  double total = 0;
  for (std::size_t r = 0; r < schedule.ranks.size(); ++r) {
    const Rank rank{static_cast<std::int32_t>(r)};
    for (const ir::Op& op : schedule.program_of(rank).ops) {
      if (const auto kernel = ir::resolve_kernel(op.work, schedule, rank)) total += hw::model_flop(*kernel).value();
    }
  }
  return total;
}

std::int64_t weights_of(const ir::Schedule& schedule, Rank rank, ir::BufferKind kind) {
  std::int64_t bytes = 0;
  for (const auto& buffer : schedule.program_of(rank).buffers) {
    if (buffer.kind == kind) bytes += ir::bytes_of(buffer, schedule, rank).value();
  }
  return bytes;
}

const ir::Op& first_op(const ir::Schedule& schedule, Rank rank, const std::string& label) {
  for (const ir::Op& op : schedule.program_of(rank).ops) {
    if (schedule.label(op.label) == label) return op;
  }
  FAIL("no op ", label);
  return schedule.programs[0].ops[0];
}

}  // namespace

TEST_CASE("128 ranks of the guide share one program") {
  CHECK(guide().ranks.size() == 128);
  CHECK(guide().programs.size() == 1);
  CHECK(guide().tokens == 1280000);
}

TEST_CASE("FLOP of the guide by class, per rank") {
  // 20,000 tokens a pair: qkv 2·20000·4096·6144 and output 2·20000·2048·4096 a layer
  auto flop = flop_by_label(guide(), Rank{0});
  CHECK((flop["qkv_projection"] + flop["output_projection"]) / 16 == doctest::Approx(1.342e12).epsilon(1e-3));
  // causal: 4·2 sequences·16 heads·10000²·128 / 2
  CHECK(flop["attention"] / 16 == doctest::Approx(0.8192e12).epsilon(1e-12));
  // 40,000 rows · 3 matrices · 2 · 4096 · 8192
  CHECK((flop["expert_gate_up"] + flop["expert_down"]) / 16 == doctest::Approx(40000.0 * 6 * 4096 * 8192).epsilon(1e-12));
  // 2 · 20000 · 4096 · 25600
  CHECK(flop["head"] == doctest::Approx(2.0 * 20000 * 4096 * 25600).epsilon(1e-12));
  // router: 2 · 10000 · 4096 · 64, executed but no model FLOP
  CHECK(flop["router"] / 16 == doctest::Approx(2.0 * 10000 * 4096 * 64).epsilon(1e-12));
}

TEST_CASE("model FLOP of the guide: 167.6 TFLOP per rank, 2.146e16 per step, whatever the strategy") {
  CHECK(model_flop(guide()) / 128 == doctest::Approx(167.6e12).epsilon(5e-4));
  CHECK(model_flop(guide()) == doctest::Approx(2.146e16).epsilon(5e-4));
  StrategySpec baseline;
  baseline.tensor = 8;
  baseline.pipeline = 2;
  baseline.expert_input = ExpertInput::replicated;
  CHECK(model_flop(build(tests::guide_model(), baseline)) == doctest::Approx(model_flop(guide())).epsilon(1e-9));
  StrategySpec chunked = tests::guide_strategy();
  chunked.overlap_chunks = 7;
  CHECK(model_flop(build(tests::guide_model(), chunked)) == doctest::Approx(model_flop(guide())).epsilon(1e-9));
}

TEST_CASE("weights of the guide: 402.7 MB per expert and layer over a pair, attention 134 MB a layer") {
  // 3 · 4096 · 16384 · 2 B / 2 ranks · 16 layers
  CHECK(weights_of(guide(), Rank{5}, ir::BufferKind::expert_weights) == 3LL * 4096 * 16384 * 2 / 2 * 16);
  // 4 · 4096² · 2 B / 2 ranks · 16 layers
  CHECK(weights_of(guide(), Rank{5}, ir::BufferKind::attention_weights) == 4LL * 4096 * 4096 * 2 / 2 * 16);
  // embedding and head: 2 · 51200 · 4096 · 2 B / 2
  CHECK(weights_of(guide(), Rank{5}, ir::BufferKind::embedding_weights) == 2LL * 51200 * 4096 * 2 / 2);
}

TEST_CASE("a plain MLP has two matrices where SwiGLU has three") {
  ModelSpec gelu = tests::guide_model();
  gelu.mlp = MlpKind::gelu;
  const auto schedule = build(gelu, tests::guide_strategy());
  CHECK(weights_of(schedule, Rank{0}, ir::BufferKind::expert_weights) * 3 == weights_of(guide(), Rank{0}, ir::BufferKind::expert_weights) * 2);
}

TEST_CASE("dispatch of the guide: 163.84 MB a rank, 153.6 MB of it to other nodes") {
  const auto dispatch = ir::resolve_collective(guide(), Rank{0}, first_op(guide(), Rank{0}, "dispatch"));
  REQUIRE(dispatch.members.size() == 64);
  CHECK(dispatch.size == Bytes{163840000});
  for (std::size_t s = 0; s < 64; ++s) {
    std::int64_t leaving = 0, all = 0;
    for (std::size_t d = 0; d < 64; ++d) {
      all += dispatch.counts[s * 64 + d].value();
      if (s / 4 != d / 4) leaving += dispatch.counts[s * 64 + d].value();
    }
    CHECK(all == 163840000);
    CHECK(static_cast<double>(leaving) == doctest::Approx(153.6e6).epsilon(2e-4));  // 312 or 313 rows an expert
  }
}

TEST_CASE("tensor collectives of the guide: 163.84 MB in attention, 327.68 MB around the experts") {
  for (const char* label : {"attention_all_gather", "attention_reduce_scatter"}) {
    CHECK(ir::resolve_collective(guide(), Rank{0}, first_op(guide(), Rank{0}, label)).size == Bytes{163840000});
  }
  for (const char* label : {"expert_all_gather", "expert_reduce_scatter"}) {
    const auto size = ir::resolve_collective(guide(), Rank{0}, first_op(guide(), Rank{0}, label)).size;
    CHECK(static_cast<double>(size.value()) == doctest::Approx(327.68e6).epsilon(1e-3));
  }
}

TEST_CASE("replicated expert input doubles what crosses the network at TP 2 and needs no exchange in the pair") {
  StrategySpec strategy = tests::guide_strategy();
  strategy.expert_input = ExpertInput::replicated;
  const auto schedule = build(tests::guide_model(), strategy);
  CHECK(ir::resolve_collective(schedule, Rank{0}, first_op(schedule, Rank{0}, "dispatch")).size == Bytes{2 * 163840000});
  for (const ir::Op& op : schedule.programs[0].ops) CHECK(schedule.label(op.label) != "expert_all_gather");
}

TEST_CASE("replicated placement keeps a quarter of the rows nearer: four copies over 16 nodes") {
  ModelSpec model = tests::guide_model();
  model.moe->experts_per_layer = 16;
  StrategySpec strategy = tests::guide_strategy();
  strategy.expert_placement = ExpertPlacement::replicated;
  const auto schedule = build(model, strategy);
  const auto dispatch = ir::resolve_collective(schedule, Rank{0}, first_op(schedule, Rank{0}, "dispatch"));
  // A node holds 4 of the 16 experts: 1/4 of the rows stay in it, against 1/16 with 64 experts on 64 pairs.
  std::int64_t staying = 0, all = 0;
  for (std::size_t s = 0; s < 64; ++s) {
    for (std::size_t d = 0; d < 64; ++d) {
      all += dispatch.counts[s * 64 + d].value();
      if (s / 4 == d / 4) staying += dispatch.counts[s * 64 + d].value();
    }
  }
  CHECK(static_cast<double>(staying) / static_cast<double>(all) == doctest::Approx(0.25).epsilon(1e-3));
}

TEST_CASE("striped placement leaves three quarters of the positions without rows in a layer") {
  ModelSpec model = tests::guide_model();
  model.moe->experts_per_layer = 16;
  StrategySpec strategy = tests::guide_strategy();
  strategy.expert_placement = ExpertPlacement::striped;
  const auto schedule = build(model, strategy);
  int busy = 0;
  for (std::int32_t pair = 0; pair < 64; ++pair) {
    const std::int64_t rows = ir::evaluate(ir::Extent{ir::Extent::Of::expert_rows, 1, {1, 0, 0}}, schedule, Rank{2 * pair});
    CHECK((rows > 0) == (pair >= 16 && pair < 32));  // layer 1
    busy += rows > 0;
  }
  CHECK(busy == 16);
}

TEST_CASE("chunks carry the same rows as the whole, and expert work of chunk c waits for dispatch c only") {
  StrategySpec strategy = tests::guide_strategy();
  strategy.overlap_chunks = 4;
  const auto schedule = build(tests::guide_model(), strategy);
  std::int64_t rows = 0;
  for (std::int32_t chunk = 0; chunk < 4; ++chunk) {
    rows += ir::evaluate(ir::Extent{ir::Extent::Of::rows_sent, 1, {0, 0, chunk}}, schedule, Rank{0});
  }
  CHECK(rows == 20000);
  const auto& ops = schedule.programs[0].ops;
  std::set<std::int32_t> streams;
  for (const ir::Op& op : ops) streams.insert(op.stream.value);
  CHECK(streams.size() == 6);  // compute, tensor, dispatch, expert gather, expert scatter, combine
}

TEST_CASE("a pipeline sends each micro-batch once between neighbouring stages, interleaved ones v·p-1 times") {
  ModelSpec model = tests::guide_model();
  StrategySpec strategy;
  strategy.tensor = 8;
  strategy.pipeline = 4;
  strategy.expert_input = ExpertInput::replicated;
  WorkloadSpec workload = tests::guide_workload();
  workload.micro_batches = 4;
  for (const std::int64_t v : {1, 2}) {
    strategy.virtual_pipeline = v;
    const auto schedule = build(model, strategy, workload);
    const auto instances = ir::match_instances(schedule);
    int sends = 0;
    for (const auto& program : schedule.programs) {
      for (const ir::Op& op : program.ops) sends += std::holds_alternative<ir::Send>(op.work);
    }
    CHECK(sends == 4 * (4 * v - 1));  // micro-batches · boundaries between the p·v chunks
    CHECK(model_flop(schedule) == doctest::Approx(model_flop(guide())).epsilon(1e-9));
  }
}

TEST_CASE("a dense model has no routing, no dispatch and the FLOP of 2·parameters·tokens plus attention") {
  ModelSpec dense = tests::guide_model();
  dense.moe.reset();
  StrategySpec strategy;
  strategy.tensor = 8;
  const auto schedule = build(dense, strategy);
  CHECK(schedule.routing.empty());
  // tokens · 2 · (layers · (4·d² + 3·d·ff) + vocab·d), and 2·h·s²·d_head a sequence and layer
  const double d = 4096, ff = 16384;
  const double expected = 1.28e6 * 2 * (16 * (4 * d * d + 3 * d * ff) + 51200 * d) + 128.0 * 16 * 2 * 32 * 1e8 * 128;
  CHECK(model_flop(schedule) == doctest::Approx(expected).epsilon(1e-9));
}

TEST_CASE("the head on last tokens only computes one row a sequence") {
  WorkloadSpec workload = tests::guide_workload();
  workload.head_on_all_tokens = false;
  auto flop = flop_by_label(build(tests::guide_model(), tests::guide_strategy(), workload), Rank{0});
  CHECK(flop["head"] == doctest::Approx(2.0 * 2 * 4096 * 25600));
}

TEST_CASE("building twice gives the same schedule") {
  const auto a = build(tests::guide_model(), tests::guide_strategy());
  CHECK(a.labels == guide().labels);
  REQUIRE(a.programs[0].ops.size() == guide().programs[0].ops.size());
  for (std::size_t i = 0; i < a.programs[0].ops.size(); ++i) CHECK(a.programs[0].ops[i].after == guide().programs[0].ops[i].after);
}

TEST_CASE("products in fp8: their weights halve, their FLOP do not, and all else stays as wide") {
  ModelSpec narrow = tests::guide_model();
  narrow.gemm_precision = hw::Precision::fp8;
  const ir::Schedule schedule = build(narrow, tests::guide_strategy());
  for (const auto kind : {ir::BufferKind::attention_weights, ir::BufferKind::expert_weights}) {
    CHECK(2 * weights_of(schedule, Rank{0}, kind) == weights_of(guide(), Rank{0}, kind));
  }
  for (const auto kind : {ir::BufferKind::embedding_weights, ir::BufferKind::norm_weights, ir::BufferKind::router_weights}) {
    CHECK(weights_of(schedule, Rank{0}, kind) == weights_of(guide(), Rank{0}, kind));
  }
  CHECK(flop_by_label(schedule, Rank{0}) == flop_by_label(guide(), Rank{0}));
  const std::set<std::string> products{"qkv_projection", "output_projection", "expert_gate_up", "expert_down"};
  for (const ir::Op& op : schedule.program_of(Rank{0}).ops) {
    const auto kernel = ir::resolve_kernel(op.work, schedule, Rank{0});
    if (!kernel) continue;
    const bool is_product = products.contains(schedule.label(op.label));
    CHECK(std::visit([](const auto& shape) { return shape.precision; }, *kernel) == (is_product ? hw::Precision::fp8 : hw::Precision::bf16));
  }
  CHECK(std::get<ir::AllToAll>(first_op(schedule, Rank{0}, "dispatch").work).row_bytes == 2 * 4096);
}

TEST_CASE("rows dispatched in fp8: a byte a value and a scale for each 128, and results come back as wide as ever") {
  ModelSpec narrow = tests::guide_model();
  narrow.gemm_precision = narrow.moe->dispatch_precision = hw::Precision::fp8;
  const ir::Schedule schedule = build(narrow, tests::guide_strategy());
  constexpr std::int64_t row = 4096 + 4 * 4096 / 128, wide_row = 2 * 4096;
  CHECK(std::get<ir::AllToAll>(first_op(schedule, Rank{0}, "dispatch").work).row_bytes == row);
  CHECK(std::get<ir::Collective>(first_op(schedule, Rank{0}, "expert_all_gather").work).row_bytes == row);
  CHECK(std::get<ir::Collective>(first_op(schedule, Rank{0}, "expert_reduce_scatter").work).row_bytes == wide_row);
  CHECK(std::get<ir::AllToAll>(first_op(schedule, Rank{0}, "combine").work).row_bytes == wide_row);
}

}  // namespace fabricast::build_test
