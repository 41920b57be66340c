// Reports of whole experiments: what must hold whatever the numbers are.
#include "validation/report.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "validation/chrome_trace.hpp"
#include "validation/description.hpp"
#include "validation/experiment.hpp"
#include "validation/forecast.hpp"
#include "validation/summary.hpp"

namespace fabricast::report_test {

using namespace fabricast;
using namespace fabricast::validation;

namespace {

struct Case {
  const char* file;
  std::vector<std::string> sets;
};

/// Small enough to simulate in a moment, yet with every axis, message kind and placement.
const std::vector<Case> cases{{"mixtral_8x7b_ep8.json", {}},
                              {"mixtral_8x7b_ep8.json", {"routing.distribution=zipf"}},
                              {"baseline_tp8_pp2.json", {"workload.micro_batches=2"}},
                              {"ep64_tp2_striped.json", {}},
                              {"ep64_tp2_chunked.json", {}}};

Experiment load(const Case& one) {
  return load_experiment(std::string(FABRICAST_SOURCE_DIR) + "/configs/experiments/" + one.file, one.sets);
}

Bytes total(const MemorySummary::Breakdown& breakdown) {
  Bytes sum;
  for (const auto& [kind, bytes] : breakdown) sum += bytes;
  return sum;
}

void check_times(const Report& report) {
  const double step = report.step.value();
  CHECK((report.time.compute_busy + report.time.communication_exposed + report.time.idle).value() == doctest::Approx(step).epsilon(1e-9));
  CHECK(report.time.overlap_fraction >= 0);
  CHECK(report.time.overlap_fraction <= 1);
  Seconds ops, exposed;
  for (const OpSummary& op : report.ops) ops += op.busy;
  for (const CollectiveSummary& collective : report.collectives) exposed += collective.exposed;
  CHECK(ops.value() == doctest::Approx(report.time.compute_busy.value()).epsilon(1e-9));
  CHECK(exposed.value() == doctest::Approx(report.time.communication_exposed.value()).epsilon(1e-9));
  CHECK(report.tokens_per_second * step == doctest::Approx(static_cast<double>(report.tokens_per_step)));
  CHECK(report.tokens_per_second * report.seconds_per_token == doctest::Approx(1.0));
  CHECK(report.mfu * step * report.peak.value() * static_cast<double>(report.ranks) ==
        doctest::Approx(report.model_flop_per_step.value()).epsilon(1e-12));
}

/// No collective and no step beats its floor; no link carries more than it can.
void check_physics(const Report& report) {
  for (const CollectiveSummary& collective : report.collectives) CHECK(collective.ratio_to_floor >= 1.0);
  CHECK(report.floors.step_over_floor >= 1.0);
  CHECK(report.floors.roofline >= report.floors.compute);
  CHECK(report.mfu <= 1.0);
  for (const auto& [kind, links] : report.links) CHECK(links.max_utilization <= 1.0);
  CHECK(report.expert_load.imbalance >= 1.0);
}

/// On every track, slices are nested or apart, to the picosecond. All ops of all ranks are there.
void check_trace(const Forecast& forecast) {
  std::ostringstream out;
  write_chrome_trace(forecast, out);
  const auto trace = nlohmann::json::parse(out.str());
  std::map<std::pair<int, int>, std::vector<std::pair<std::int64_t, std::int64_t>>> tracks;
  std::size_t slices = 0, ops = 0, out_of_order = 0;
  for (const auto& event : trace.at("traceEvents")) {
    if (event.at("ph") != "X") continue;
    const std::int64_t start = std::llround(event.at("ts").get<double>() * 1e6);
    tracks[{event.at("pid"), event.at("tid")}].emplace_back(start, start + std::llround(event.at("dur").get<double>() * 1e6));
    ++slices;
  }
  for (auto& [track, intervals] : tracks) {
    for (std::size_t i = 1; i < intervals.size(); ++i) out_of_order += intervals[i].first < intervals[i - 1].second ? 1 : 0;
  }
  for (const auto& rank : ir::of_each_rank(forecast.result.trace).ops) ops += rank.size();
  CHECK(slices == ops);
  CHECK(out_of_order == 0);
}

}  // namespace

// compute + exposed + idle = step; tokens/s · step = tokens; mfu · step · peak · ranks = model FLOP; time >= floor; Σ breakdown = peak.
TEST_CASE("reports of whole experiments satisfy their identities and break no floor") {
  for (const Case& one : cases) {
    CAPTURE(one.file);
    const Experiment experiment = load(one);
    for (const sim::Fidelity fidelity : {sim::Fidelity::bound, sim::Fidelity::flow}) {
      const Forecast forecast = validation::forecast(experiment, {fidelity, false});
      const Report report = summarize(experiment, forecast, fidelity);
      check_times(report);
      check_physics(report);
      CHECK(total(report.memory.breakdown) == report.memory.peak);
      CHECK(total(report.memory.parameters_by_kind) == report.memory.breakdown.front().second);
      CHECK(report.memory.fits == (report.memory.peak <= report.memory.capacity));
      CHECK(report.ranks == experiment.cluster.gpus());
      if (fidelity == sim::Fidelity::flow) check_trace(forecast);
    }
  }
}

// What the transfers of `describe` carry is what the simulator's links carried: payload leaves a node over its NICs.
TEST_CASE("bytes that a description sends out of nodes are those that the simulated NICs carry") {
  for (const Case& one : cases) {
    CAPTURE(one.file);
    const Experiment experiment = load(one);
    const Forecast forecast = validation::forecast(experiment, {});
    const Description description = describe(experiment, plan(experiment));
    double described = 0;
    for (const AxisDescription& axis : description.axes) described += axis.bytes_leaving_node * static_cast<double>(description.ranks);
    double carried = 0;
    for (std::size_t i = 0; i < forecast.result.link_bytes.size(); ++i) {
      const bool on_nic = forecast.topology.links()[i].kind == hw::LinkKind::infiniband;
      if (on_nic) carried += static_cast<double>(forecast.result.link_bytes[i].value());
    }
    CHECK(carried / 2 == doctest::Approx(described));  // once out of a NIC, once into one
    CHECK(description.placement.size() == forecast.schedule.ranks.size());
    CHECK(total(description.memory.breakdown) == description.memory.peak);
  }
}

}  // namespace fabricast::report_test
