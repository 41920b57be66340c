#include "strategies/degrees.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <string>

#include "hardware_models/config_error.hpp"
#include "tests/strategies/guide.hpp"

namespace fabricast::degrees_test {

using namespace fabricast;
using namespace fabricast::strategy;

namespace {

/// The pointer of the error that a changed guide experiment gives; empty if it gives none.
std::string pointer_of_error(const std::function<void(ModelSpec&, WorkloadSpec&, StrategySpec&)>& change, std::int64_t world = 128) {
  ModelSpec model = tests::guide_model();
  WorkloadSpec workload = tests::guide_workload();
  StrategySpec strategy = tests::guide_strategy();
  change(model, workload, strategy);
  try {
    (void)derive_degrees(strategy, model, workload, world);
  } catch (const hw::ConfigError& error) {
    CHECK(std::string(error.what()).find('\n') == std::string::npos);
    return error.pointer();
  }
  return {};
}

}  // namespace

TEST_CASE("the guide's degrees leave 64 attention replicas and one copy of each expert") {
  const Degrees d = derive_degrees(tests::guide_strategy(), tests::guide_model(), tests::guide_workload(), 128);
  CHECK(d.data == 64);
  CHECK(d.expert_data == 1);
  CHECK(d.expert_tensor == 2);
  // world = pipeline·tensor·context·data = pipeline·expert·expert_tensor·expert_data
  CHECK(d.pipeline * d.tensor * d.context * d.data == 128);
  CHECK(d.pipeline * d.expert * d.expert_tensor * d.expert_data == 128);
}

TEST_CASE("inconsistent degrees are rejected at the key at fault") {
  using M = ModelSpec; using W = WorkloadSpec; using S = StrategySpec;
  CHECK(pointer_of_error([](M&, W&, S&) {}) == "");
  CHECK(pointer_of_error([](M&, W&, S& s) { s.tensor = 3; }) == "/strategy/tensor");
  CHECK(pointer_of_error([](M& m, W&, S&) { m.n_heads = 33; }) == "/strategy/tensor");
  CHECK(pointer_of_error([](M& m, W&, S&) { m.vocab_size = 51201; }) == "/strategy/tensor");
  CHECK(pointer_of_error([](M&, W&, S& s) { s.pipeline = 3; s.expert = 1; }) == "/strategy/tensor");
  CHECK(pointer_of_error([](M& m, W&, S& s) { s.pipeline = 2; s.expert = 32; m.layers = 15; }) == "/strategy/pipeline");
  CHECK(pointer_of_error([](M&, W&, S& s) { s.expert = 48; }) == "/strategy/expert");
  CHECK(pointer_of_error([](M& m, W&, S&) { m.moe->experts_per_layer = 80; }) == "/strategy/expert");
  CHECK(pointer_of_error([](M& m, W&, S&) { m.moe.reset(); }) == "/strategy/expert");
  CHECK(pointer_of_error([](M&, W&, S& s) { s.data = 32; }) == "/strategy/data");
  CHECK(pointer_of_error([](M&, W&, S& s) { s.expert_data = 2; }) == "/strategy/expert_data");
  CHECK(pointer_of_error([](M&, W& w, S&) { w.sequences = 100; }) == "/workload/sequences");
  CHECK(pointer_of_error([](M&, W& w, S&) { w.sequence_length = 9999; w.sequences = 64; }) == "/strategy/tensor");
  CHECK(pointer_of_error([](M&, W&, S& s) { s.virtual_pipeline = 2; }) == "/strategy/virtual_pipeline");
  CHECK(pointer_of_error([](M&, W&, S& s) { s.context = 2; }) == "/strategy/context");
  CHECK(pointer_of_error([](M&, W&, S& s) { s.expert_input = ExpertInput::replicated; s.expert_tensor = 1; }) == "/strategy/expert_input");
  CHECK(pointer_of_error([](M&, W&, S& s) { s.overlap_chunks = 10001; }) == "/strategy/overlap/chunks");
}

}  // namespace fabricast::degrees_test
