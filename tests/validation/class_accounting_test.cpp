// Reports account for one rank of each class of ranks that are alike. That must not show.
#include <doctest/doctest.h>

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "hardware_models/kernels.hpp"
#include "strategies/ir/rank_classes.hpp"
#include "strategies/ir/resolve.hpp"
#include "validation/experiment.hpp"
#include "validation/forecast.hpp"
#include "validation/report.hpp"
#include "validation/report_parts.hpp"

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

Experiment load(const Case& one) {
  return load_experiment(std::string(FABRICAST_SOURCE_DIR) + "/configs/experiments/" + one.file, one.sets);
}

/// Without what says how the simulation went about it.
std::string text_of(Report report) {
  report.events = 0;
  report.classes = 0;
  report.wall_seconds = 0;
  return to_json(report);
}

/// Sums over all ranks or instances, by label and kind.
struct Walked {
  double count = 0, time = 0, floor = 0, bytes = 0, flop = 0;
  std::set<std::int32_t> groups;
};
using WalkedByClass = std::map<std::pair<std::string, std::string>, Walked>;

WalkedByClass walk_instances(const Forecast& forecast) {
  const ir::Schedule& schedule = forecast.schedule;
  WalkedByClass all;
  for (std::size_t i = 0; i < forecast.instances.all.size(); ++i) {
    const ir::InstanceMember first = forecast.instances.all[i].members.front();
    const ir::Op& op = schedule.program_of(first.rank).ops[first.op.index()];
    const ir::ResolvedCollective collective = ir::resolve_collective(schedule, first.rank, op);
    Walked& sum = all[{schedule.label(op.label), std::string(ir::kind_of(op.work))}];
    sum.count += 1;
    sum.time += to_seconds(forecast.result.instances[i].end - forecast.result.instances[i].start).value();
    sum.floor += forecast.result.instances[i].floor.value();
    sum.bytes += static_cast<double>(collective.size.value());
    sum.groups.insert(schedule.ranks[first.rank.index()].groups[static_cast<std::size_t>(collective.axis)].value);
  }
  return all;
}

WalkedByClass walk_kernels(const Forecast& forecast) {
  WalkedByClass all;
  for (std::int32_t r = 0; r < static_cast<std::int32_t>(forecast.schedule.ranks.size()); ++r) {
    const auto& ops = forecast.schedule.program_of(Rank{r}).ops;
    for (std::size_t i = 0; i < ops.size(); ++i) {
      const auto kernel = ir::resolve_kernel(ops[i].work, forecast.schedule, Rank{r});
      if (!kernel) continue;
      const ir::OpInterval& ran = forecast.result.trace.ops[static_cast<std::size_t>(r)][i];
      Walked& sum = all[{forecast.schedule.label(ops[i].label), std::string(ir::kind_of(ops[i].work))}];
      sum.count += 1;
      sum.time += to_seconds(ran.end - ran.start).value();
      sum.bytes += static_cast<double>(hw::memory_traffic(*kernel).value());
      sum.flop += hw::flop(*kernel).value();
    }
  }
  return all;
}

/// Relative, unlike doctest's own, which takes small differences for none; 0 is 0.
doctest::Approx about(double value) { return doctest::Approx(value).epsilon(1e-12).scale(1e-300); }

void check_sums(const Report& report, const Forecast& forecast) {
  const WalkedByClass kernels = walk_kernels(forecast), instances = walk_instances(forecast);
  const auto ranks = static_cast<double>(forecast.schedule.ranks.size());
  REQUIRE(report.ops.size() == kernels.size());
  for (const OpSummary& op : report.ops) {
    const Walked& expected = kernels.at({op.label, op.kind});
    CHECK(op.count == about(expected.count / ranks));
    CHECK(op.busy.value() == about(expected.time / ranks));
    CHECK(op.bytes == about(expected.bytes / ranks));
    CHECK(op.flop.value() == about(expected.flop / ranks));
  }
  REQUIRE(report.collectives.size() == instances.size());
  for (const CollectiveSummary& collective : report.collectives) {
    const Walked& expected = instances.at({collective.label, collective.kind});
    const auto groups = static_cast<double>(expected.groups.size());
    CHECK(collective.count == about(expected.count / groups));
    CHECK(collective.time.value() == about(expected.time / groups));
    CHECK(collective.floor.value() == about(expected.floor / groups));
    CHECK(collective.bytes == about(expected.bytes / groups));
  }
}

void check_ranks(const Report& report, const Forecast& forecast) {
  const ir::Schedule& schedule = forecast.schedule;
  const OpClasses classes(schedule, forecast.instances);
  const TimeSummary time = account_time(schedule, forecast.result.trace, classes, ir::each_rank(schedule)).total;
  CHECK(report.time.compute_busy == time.compute_busy);
  CHECK(report.time.communication_busy == time.communication_busy);
  CHECK(report.time.communication_exposed == time.communication_exposed);
  CHECK(report.time.idle == time.idle);
  CHECK(report.time.waiting == time.waiting);
  const MemorySummary memory = summarize_memory(schedule, ir::each_rank(schedule), Bytes(0), Bytes(0));
  CHECK(report.memory.fullest == memory.fullest);
  CHECK(report.memory.breakdown.front() == memory.breakdown.front());
  CHECK(report.memory.peak - report.memory.breakdown.back().second == memory.peak);
  const ExpertLoad load = summarize_expert_load(schedule, ir::each_rank(schedule));
  CHECK(report.expert_load.imbalance == load.imbalance);
  CHECK(report.expert_load.variance == load.variance);
}

}  // namespace

// The sums are taken here over every rank, op and instance of a trace with a row for each rank.
TEST_CASE("accounts by class are those of a walk over all ranks and instances") {
  for (const Case& one : cases) {
    CAPTURE(one.file);
    CAPTURE(one.sets.back());
    const Experiment experiment = load(one);
    Forecast folded = forecast(experiment, {});
    CHECK((folded.result.classes > 0) == one.folds);
    CHECK(folded.result.trace.ops.size() == (one.folds ? folded.result.classes : folded.schedule.ranks.size()));
    const Report report = summarize(experiment, folded, sim::Fidelity::flow);
    folded.result = sim::of_each_rank(std::move(folded.result), folded.instances);
    check_sums(report, folded);
    check_ranks(report, folded);
  }
}

TEST_CASE("a report is the same to the last digit whether ranks share rows of the trace, have their own, or were not folded") {
  for (const Case& one : cases) {
    CAPTURE(one.file);
    CAPTURE(one.sets.back());
    const Experiment experiment = load(one);
    Forecast folded = forecast(experiment, {});
    const std::string by_class = text_of(summarize(experiment, folded, sim::Fidelity::flow));
    folded.result = sim::of_each_rank(std::move(folded.result), folded.instances);
    CHECK(by_class == text_of(summarize(experiment, folded, sim::Fidelity::flow)));
    CHECK(by_class == text_of(summarize(experiment, forecast(experiment, {.fold = false}), sim::Fidelity::flow)));
  }
}

}  // namespace fabricast::class_accounting_test
