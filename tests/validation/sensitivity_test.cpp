#include "validation/sensitivity.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>

namespace fabricast::sensitivity_test {

using namespace validation;

struct Judged {
  std::vector<KnobEffect> effects;
  [[nodiscard]] const KnobEffect& of(const std::string& knob) const {
    const auto found = std::find_if(effects.begin(), effects.end(), [&](const KnobEffect& effect) { return effect.knob == knob; });
    REQUIRE(found != effects.end());
    return *found;
  }
};

Judged judged(const std::string& name, const std::vector<std::string>& sets = {}) {
  const Experiment experiment = load_experiment(std::filesystem::path(FABRICAST_SOURCE_DIR) / "configs/experiments" / (name + ".json"), sets);
  const sim::SimulateOptions options;
  return {sensitivity(experiment, forecast(experiment, options), options)};
}

const Judged& guide() {
  static const Judged effects = judged("ep64_tp2");
  return effects;
}

// The step is a homogeneous function of degree 1 of the latencies and of one over the rates; by Euler's theorem their elasticities sum to 1:
// Σ rates d ln(throughput)/d ln(rate) - Σ latencies d ln(throughput)/d ln(latency) = 1. What is measured in seconds or bytes and is no knob
// (the burst before throttling, the NVLink ramp), and kinks within the 10 %, leave a little.
TEST_CASE("elasticities of rates and latencies sum to one") {
  double sum = 0;
  for (const KnobEffect& effect : guide().effects) {
    if (effect.knob != "SMs at the same peak") sum += (effect.change > 0 ? 1 : -1) * effect.elasticity;
  }
  CHECK(sum == doctest::Approx(1).epsilon(0.03));
}

TEST_CASE("effects are ranked by gain, better hardware gains and worse loses") {
  const auto& effects = guide().effects;
  for (std::size_t i = 1; i < effects.size(); ++i) CHECK(effects[i - 1].gain >= effects[i].gain);
  for (const char* knob : {"peak FLOP/s", "memory bandwidth", "NVLink bandwidth", "InfiniBand bandwidth"}) {
    CHECK(guide().of(knob).gain > 0);
    CHECK(guide().of(knob).loss < 0);
  }
}

// A share s of the step that runs at a rate shrinks to s / 1.1: the gain is 1 / (1 - s + s/1.1) - 1. Dispatch and combine are exposed in
// full, and all but their latencies is InfiniBand time.
TEST_CASE("without overlap, InfiniBand brings what the share of dispatch and combine in the step says") {
  const Experiment experiment = load_experiment(std::filesystem::path(FABRICAST_SOURCE_DIR) / "configs/experiments/ep64_tp2.json");
  const Report report = summarize(experiment, forecast(experiment, {}), sim::Fidelity::flow);
  double share = 0;
  for (const CollectiveSummary& one : report.collectives) {
    if (one.axis == "expert") share += one.exposed / report.step;
  }
  CHECK(guide().of("InfiniBand bandwidth").gain == doctest::Approx(1 / (1 - share + share / 1.1) - 1).epsilon(0.02));
}

TEST_CASE("what a cluster of one node does not have brings nothing") {
  const Judged one_node = judged("mixtral_8x7b_ep8");
  CHECK(one_node.of("InfiniBand bandwidth").gain == 0);
  CHECK(one_node.of("InfiniBand latency").elasticity == 0);
  CHECK(one_node.of("NVLink bandwidth").gain > 0);
}

}  // namespace fabricast::sensitivity_test
