#include "validation/measurement.hpp"

#include <algorithm>
#include <utility>

#include "hardware_models/byte_floor.hpp"
#include "runtime/measure.hpp"
#include "strategies/ir/resolve.hpp"
#include "validation/report_parts.hpp"

namespace fabricast::validation {

namespace {

runtime::ModelShape shape_of(const strategy::ModelSpec& model) {
  runtime::ModelShape shape;
  shape.layers = model.layers;
  shape.d_model = model.d_model;
  shape.heads = model.n_heads;
  shape.kv_heads = model.n_kv_heads;
  shape.d_head = model.d_head;
  shape.vocabulary = model.vocab_size;
  shape.d_ff = model.d_ff;
  shape.gated = model.mlp == strategy::MlpKind::swiglu;
  shape.causal = model.causal;
  shape.tied_embeddings = model.tied_embeddings;
  shape.precision = model.precision;
  if (model.moe) shape.moe = runtime::MoeShape{model.moe->experts_per_layer, model.moe->top_k, model.moe->d_ff};
  for (std::int64_t layer = 0; layer < model.layers; ++layer) shape.is_moe.push_back(model.is_moe_layer(layer));
  return shape;
}

Seconds floor_of(const Plan& plan, const ir::Instance& instance) {
  const ir::InstanceMember& first = instance.members.front();
  const ir::Op& op = plan.schedule.program_of(first.rank).ops[first.op.index()];
  const ir::ResolvedCollective resolved = ir::resolve_collective(plan.schedule, first.rank, op);
  if (resolved.members.size() < 2) return Seconds(0);
  std::vector<GpuId> gpus;
  for (const Rank rank : resolved.members) gpus.push_back(plan.schedule.ranks[rank.index()].gpu);
  return hw::byte_floor(resolved.kind, gpus, resolved.counts, plan.topology);
}

/// First member's start to last member's end.
sim::InstanceInterval interval_of(const Plan& plan, const ir::Instance& instance, const ir::Trace& trace) {
  const ir::InstanceMember& first = instance.members.front();
  sim::InstanceInterval interval{trace.at(first.rank, first.op).start, trace.at(first.rank, first.op).end, floor_of(plan, instance)};
  for (const ir::InstanceMember& member : instance.members) {
    interval.start = std::min(interval.start, trace.at(member.rank, member.op).start);
    interval.end = std::max(interval.end, trace.at(member.rank, member.op).end);
  }
  return interval;
}

/// Durations by class over all ranks, ops and steps.
std::vector<runtime::Spread> spreads_of(const ir::Schedule& schedule, const std::vector<ir::Trace>& steps, const OpClasses& classes,
                                        std::size_t class_count, bool communication) {
  std::vector<std::vector<Seconds>> samples(class_count);
  for (std::size_t r = 0; r < schedule.ranks.size(); ++r) {
    const Rank rank{static_cast<std::int32_t>(r)};
    const auto& ops = schedule.program_of(rank).ops;
    for (std::size_t i = 0; i < ops.size(); ++i) {
      if (ir::communicates(ops[i].work) != communication) continue;
      const ir::OpIndex op{static_cast<std::int32_t>(i)};
      auto& of_class = samples[classes.of(rank, op)];
      for (const ir::Trace& step : steps) of_class.push_back(to_seconds(step.at(rank, op).end - step.at(rank, op).start));
    }
  }
  std::vector<runtime::Spread> spreads;
  for (auto& of_class : samples) spreads.push_back(runtime::spread_of(std::move(of_class)));
  return spreads;
}

void fill_spreads(Report& report, const Forecast& median, const runtime::MeasuredRun& run) {
  const OpClasses classes(median.schedule, median.instances);
  const auto ops = spreads_of(median.schedule, run.steps, classes, report.ops.size(), false);
  for (std::size_t c = 0; c < ops.size(); ++c) report.ops[c].each = ops[c];
  const auto collectives = spreads_of(median.schedule, run.steps, classes, report.collectives.size(), true);
  for (std::size_t c = 0; c < collectives.size(); ++c) report.collectives[c].each = collectives[c];
}

/// They are a forecast's.
void forget_error_bars(Report& report) {
  report.error_bar.reset();
  for (OpSummary& op : report.ops) op.error_bar.reset();
  for (CollectiveSummary& collective : report.collectives) collective.error_bar.reset();
}

/// What only the modelled cluster's rates could say.
void forget_modelled_rates(Report& report) {
  report.peak = FlopPerSecond(0);
  report.mfu = 0;
  report.floors = Floors{};
  report.hottest_links.clear();
  for (auto& [kind, links] : report.links) links = LinkSummary{};
  for (CollectiveSummary& collective : report.collectives) {
    collective.floor = Seconds(0);
    collective.ratio_to_floor = 1.0;
  }
}

Bytes share_of_memory(const runtime::Machine& machine, std::size_t ranks, bool device_per_rank) {
  return device_per_rank ? machine.memory : machine.memory / static_cast<std::int64_t>(std::max<std::size_t>(ranks, 1));
}

}  // namespace

runtime::Problem problem_of(const Experiment& experiment) {
  const strategy::WorkloadSpec& workload = experiment.workload;
  return {shape_of(experiment.model), workload.sequences, workload.sequence_length, workload.micro_batches, workload.head_on_all_tokens};
}

std::vector<NodeId> nodes_of(const Plan& plan) {
  std::vector<NodeId> nodes;
  for (const ir::RankBinding& rank : plan.schedule.ranks) nodes.push_back(plan.topology.node_of(rank.gpu));
  return nodes;
}

Forecast median_step(const Experiment& experiment, Plan plan, const runtime::MeasuredRun& run) {
  sim::SimulationResult result;
  result.trace = run.median_step();
  for (const ir::Instance& instance : plan.instances.all) result.instances.push_back(interval_of(plan, instance, result.trace));
  result.link_bytes.resize(plan.topology.links().size());
  sim::CostModel cost = sim::cost_model(experiment.cluster);
  return {std::move(plan.topology), std::move(cost), std::move(plan.schedule), std::move(plan.instances), std::move(result), Seconds(0)};
}

Report summarize(const Experiment& experiment, const Forecast& median, const Measurement& measurement) {
  Report report = summarize(experiment, median, sim::Fidelity::flow);
  report.source = "measured";
  report.fidelity = "executed";
  forget_error_bars(report);
  fill_spreads(report, median, measurement.run);
  if (!measurement.on_modelled_cluster) forget_modelled_rates(report);
  const runtime::Machine& machine = measurement.run.machine;
  report.memory = summarize_memory(median.schedule, ir::classes_by_size(median.schedule), Bytes(0),
                                   share_of_memory(machine, median.schedule.ranks.size(), measurement.on_modelled_cluster));
  report.measured = MeasuredFacts{measurement.backend,
                                  machine,
                                  measurement.options.seed,
                                  measurement.options.warm_up_steps,
                                  measurement.options.timed_steps,
                                  measurement.run.step_length,
                                  measurement.numerics};
  return report;
}

}  // namespace fabricast::validation
