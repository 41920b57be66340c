// Reports account for one rank of each class of ranks that are alike. That must not show.
#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

#include "validation/experiment.hpp"
#include "validation/forecast.hpp"
#include "validation/report.hpp"

namespace fabricast::class_accounting_test {

using namespace fabricast;
using namespace fabricast::validation;

namespace {

struct Case {
  const char* file;
  std::vector<std::string> sets;
  bool folds;
};

/// Dense and MoE layers, pipelines, dealt and replicated experts, rows that do not divide, faults, drawn counts.
const std::vector<Case> cases{
    {"baseline_tp8_pp2.json", {"model.layers=4", "workload.micro_batches=4"}, true},
    {"mixtral_8x7b_ep8.json", {"model.layers=3"}, true},
    {"mixtral_8x7b_ep8.json", {"model.layers=2", "workload.sequence_length=4100"}, true},
    {"mixtral_8x7b_ep8.json", {"model.layers=2", "routing.distribution=zipf"}, false},
    {"ep4_tp2_tiny.json", {"workload.sequence_length=14"}, true},
    {"ep64_tp2_chunked.json", {"model.layers=2"}, true},
    {"ep64_tp2_striped.json", {"model.layers=4"}, true},
    {"ep64_tp2_worn.json", {"model.layers=2"}, false}};

/// Without what says how the simulation went about it.
std::string text_of(Report report) {
  report.events = 0;
  report.classes = 0;
  report.wall_seconds = 0;
  return to_json(report);
}

}  // namespace

TEST_CASE("accounts by class are those of rank by rank, to the last digit") {
  for (const Case& one : cases) {
    CAPTURE(one.file);
    CAPTURE(one.sets.back());
    const Experiment experiment = load_experiment(std::string(FABRICAST_SOURCE_DIR) + "/configs/experiments/" + one.file, one.sets);
    Forecast folded = forecast(experiment, {});
    CHECK((folded.result.classes > 0) == one.folds);
    CHECK(folded.result.trace.ops.size() == (one.folds ? folded.result.classes : folded.schedule.ranks.size()));
    const std::string by_class = text_of(summarize(experiment, folded, sim::Fidelity::flow));
    folded.result = sim::of_each_rank(std::move(folded.result), folded.instances);
    CHECK(by_class == text_of(summarize(experiment, folded, sim::Fidelity::flow)));
    CHECK(by_class == text_of(summarize(experiment, forecast(experiment, {.fold = false}), sim::Fidelity::flow)));
  }
}

}  // namespace fabricast::class_accounting_test
