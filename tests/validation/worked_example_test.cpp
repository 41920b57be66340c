// The hand calculation of validation/README.md, line by line, against the report of the shipped experiment.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <string>

#include "validation/forecast.hpp"
#include "validation/report.hpp"

namespace fabricast::worked_example_test {

using namespace fabricast;
using namespace fabricast::validation;

namespace {

/// Relative: doctest's Approx alone allows 1e-5 absolutely, which hides any error in microseconds.
doctest::Approx near(double value, double relative = 1e-9) { return doctest::Approx(value).epsilon(relative).scale(0.0); }

Experiment shipped(const std::string& name, const std::vector<std::string>& sets = {}) {
  return load_experiment(std::filesystem::path(FABRICAST_SOURCE_DIR) / "configs/experiments" / (name + ".json"), sets);
}

Report report_of(const std::string& name, const std::vector<std::string>& sets = {}, sim::Fidelity fidelity = sim::Fidelity::flow) {
  const Experiment experiment = shipped(name, sets);
  return summarize(experiment, forecast(experiment, {fidelity, false}), fidelity);
}

const Report& guide() {
  static const Report report = report_of("ep64_tp2");
  return report;
}

double flop_of(const std::string& label) {
  const auto op = std::find_if(guide().ops.begin(), guide().ops.end(), [&](const OpSummary& o) { return o.label == label; });
  REQUIRE(op != guide().ops.end());
  return op->flop.value();
}

const CollectiveSummary& collective(const Report& report, const std::string& label) {
  const auto found =
      std::find_if(report.collectives.begin(), report.collectives.end(), [&](const CollectiveSummary& c) { return c.label == label; });
  REQUIRE(found != report.collectives.end());
  return *found;
}

double bytes_of(const std::string& part, const MemorySummary::Breakdown& breakdown) {
  for (const auto& [name, bytes] : breakdown) {
    if (name == part) return static_cast<double>(bytes.value());
  }
  FAIL("no memory part ", part);
  return 0;
}

}  // namespace

TEST_CASE("work of a rank, by class: tokens, GEMMs, attention, experts and head") {
  CHECK(guide().tokens_per_step == 1280000);
  // 2 · 20,000 · (4096·6144 + 2048·4096) · 16
  CHECK(flop_of("qkv_projection") + flop_of("output_projection") == near(2.0 * 20000 * (4096.0 * 6144 + 2048.0 * 4096) * 16));
  // 4 · 2 · 16 · 10,000² · 128 / 2 · 16
  CHECK(flop_of("attention") == near(4.0 * 2 * 16 * 1e8 * 128 / 2 * 16));
  // 40,000 · 3 · 2 · 4096 · 8192 · 16
  CHECK(flop_of("expert_gate_up") + flop_of("expert_down") == near(40000.0 * 3 * 2 * 4096 * 8192 * 16));
  // 2 · 20,000 · 4096 · 25,600
  CHECK(flop_of("head") == near(2.0 * 20000 * 4096 * 25600));
}

TEST_CASE("model FLOP: 167.6 TFLOP a rank and 2.146e16 a step, 169.4 ms at peak") {
  CHECK(guide().model_flop_per_step.value() == near(128 * 167.626e12, 1e-5));
  CHECK(guide().model_flop_per_step.value() == near(2.146e16, 5e-4));
  // the compute floor counts the router too: 2 · 10,000 · 4096 · 64 · 16 more
  const double executed = 167.626e12 + 2.0 * 10000 * 4096 * 64 * 16;
  CHECK(guide().floors.compute.value() == near(executed / 989.4e12, 1e-4));
  CHECK(167.626e12 / 989.4e12 == near(0.1694, 1e-3));
}

TEST_CASE("dispatch and combine: 163.84 MB a rank, floor 3.072 ms each, 98.3 ms a step") {
  for (const char* label : {"dispatch", "combine"}) {
    const auto& c = collective(guide(), label);
    CHECK(c.count == 16);
    CHECK(c.members == 64);
    CHECK(c.bytes / 16 == near(163.84e6));
    // the fullest NIC carries a few rows more than 10,000 · 2 · 60/64: rows are whole
    CHECK(c.floor.value() / 16 == near(3.072e-3, 3e-3));
    CHECK(c.floor.value() / 16 >= 3.072e-3);
    CHECK(c.ratio_to_floor >= 1.0);
  }
  CHECK(collective(guide(), "dispatch").floor.value() + collective(guide(), "combine").floor.value() == near(98.3e-3, 3e-3));
  CHECK(guide().floors.network.value() == near(98.3e-3, 3e-3));
  // every NIC: 32 · 153.6 MB out; the links of a kind carry both directions
  CHECK(guide().links.at("infiniband").bytes == near(2 * 128 * 32 * 153.6e6, 1e-3));
}

TEST_CASE("tensor collectives: 163.84 MB in attention, 327.68 MB around the experts, half of it travels at 450 GB/s") {
  for (const char* label : {"attention_all_gather", "attention_reduce_scatter"}) {
    CHECK(collective(guide(), label).bytes / 16 == near(163.84e6));
    CHECK(collective(guide(), label).floor.value() / 16 == near(163.84e6 / 2 / 450e9));
  }
  for (const char* label : {"expert_all_gather", "expert_reduce_scatter"}) {
    CHECK(collective(guide(), label).bytes / 16 == near(327.68e6, 1e-3));
    CHECK(collective(guide(), label).floor.value() / 16 == near(327.68e6 / 2 / 450e9, 2e-3));
  }
}

TEST_CASE("weights: 3.221 GB of experts, 1.074 GB of attention, 0.419 GB of embedding and head a rank") {
  const auto& kinds = guide().memory.parameters_by_kind;
  CHECK(bytes_of("expert_weights", kinds) == near(16 * 402.653184e6 / 2));
  CHECK(bytes_of("attention_weights", kinds) == near(4.0 * 4096 * 4096 * 2 / 2 * 16));
  CHECK(bytes_of("embedding_weights", kinds) == near(2.0 * 51200 * 4096 * 2 / 2));
}

TEST_CASE("the step lies between 0.17 s and 0.45 s, so between 2.9 and 7.5 million tokens/s, and no guess of overlap reaches the guide's") {
  CHECK(guide().step > guide().floors.compute);
  CHECK(guide().step.value() < 0.45);
  CHECK(guide().tokens_per_second == near(1.28e6 / guide().step.value()));
  CHECK(guide().tokens_per_second > 2.8e6);
  CHECK(guide().tokens_per_second < 7.5e6);
  CHECK(guide().mfu == near(guide().model_flop_per_step.value() / (128 * 989.4e12 * guide().step.value())));
  // the guide's 576,000 tokens/s would be this MFU
  CHECK(guide().model_flop_per_step.value() / 1.28e6 * 576000 / (128 * 989.4e12) == near(0.076, 5e-3));
}

TEST_CASE("compute, exposed communication and idle make up the step, no collective beats its floor") {
  for (const char* name : {"ep64_tp2", "ep64_tp2_chunked", "baseline_tp8_pp2", "ep64_tp2_replicated", "ep64_tp2_striped"}) {
    const Report r = report_of(name);
    CHECK((r.time.compute_busy + r.time.communication_exposed + r.time.idle).value() == near(r.step.value()));
    for (const auto& c : r.collectives) CHECK(c.ratio_to_floor >= 1.0);
    CHECK(r.floors.step_over_floor >= 1.0);
  }
}

TEST_CASE("bound fidelity is never slower than flow, and never faster than the floors") {
  const Report bound = report_of("ep64_tp2", {}, sim::Fidelity::bound);
  CHECK(bound.step <= guide().step);
  CHECK(bound.floors.step_over_floor >= 1.0);
}

// Chunks run beside each other, and cuts know nothing of routes: the busiest link alone would take longer than the bound.
TEST_CASE("bound fidelity is never faster than its floors where collectives overlap or a NIC is worn") {
  const std::vector<std::string> worn{"cluster.faults={\"nics\": [{\"node\": 0, \"nic\": 0, \"bandwidth\": 0.01}]}"};
  for (const auto& [file, sets] : {std::pair{"ep64_tp2_chunked", std::vector<std::string>{}}, std::pair{"ep64_tp2", worn}}) {
    const Report report = report_of(file, sets, sim::Fidelity::bound);
    CHECK(report.floors.network > Seconds(0));
    CHECK(report.floors.step_over_floor >= 1.0);
  }
}

TEST_CASE("chunked overlap hides dispatch behind the experts and never shortens the work itself") {
  const Report chunked = report_of("ep64_tp2_chunked");
  CHECK(chunked.step < guide().step);
  CHECK(chunked.time.overlap_fraction > 0.5);
  CHECK(chunked.time.compute_busy >= guide().time.compute_busy);
}

// compute_busy = Σ of the same kernels alone + interference; without overlap there is none.
TEST_CASE("interference costs the chunked step part of what overlap gains, and the plain step nothing") {
  const Experiment chunked = load_experiment(std::string(FABRICAST_SOURCE_DIR) + "/configs/experiments/ep64_tp2_chunked.json");
  const Report beside = report_of("ep64_tp2_chunked"), apart = summarize(chunked, forecast(chunked, {.interference = false}), sim::Fidelity::flow);
  CHECK(guide().time.interference == Seconds(0));
  CHECK(apart.time.interference == Seconds(0));
  CHECK(beside.time.interference > Seconds(0));
  CHECK(beside.time.compute_busy.value() == near((apart.time.compute_busy + beside.time.interference).value()));
  CHECK(apart.step < beside.step);
  CHECK(beside.step < guide().step);
}

TEST_CASE("skew makes the step longer: the most loaded expert is waited for") {
  const Report skewed = report_of("ep64_tp2", {"routing.distribution=zipf", "routing.exponent=0.5"});
  CHECK(skewed.expert_load.imbalance > 1.5);
  CHECK(skewed.step > guide().step);
  CHECK(skewed.model_flop_per_step.value() == near(guide().model_flop_per_step.value()));
}

}  // namespace fabricast::worked_example_test
