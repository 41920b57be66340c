#include "validation/report_json.hpp"
#include "validation/machine_json.hpp"

#include <string_view>
#include <utility>

namespace fabricast::validation {

namespace {

void write_header(JsonWriter& json, const Report& report) {
  json.field("schema", "fabricast.report/1");
  json.field("experiment", report.experiment);
  json.field("source", report.source);
  json.field("fidelity", report.fidelity);
  json.field("ranks", report.ranks);
  json.field("nodes", report.nodes);
  json.field("phase", report.phase);
  json.field("step_seconds", report.step.value());
  json.field("tokens_per_step", report.tokens_per_step);
  json.field("tokens_per_second", report.tokens_per_second);
  json.field("tokens_per_second_per_gpu", report.tokens_per_second_per_gpu);
  json.field("seconds_per_token", report.seconds_per_token);
  json.field("model_flop_per_step", report.model_flop_per_step.value());
  json.field("peak_flop_per_second_per_gpu", report.peak.value());
  json.field("mfu", report.mfu);
}

void write_time(JsonWriter& json, const TimeSummary& time) {
  json.open_object("time");
  json.field("compute_busy_seconds", time.compute_busy.value());
  json.field("communication_busy_seconds", time.communication_busy.value());
  json.field("communication_exposed_seconds", time.communication_exposed.value());
  json.field("idle_seconds", time.idle.value());
  json.field("waiting_seconds", time.waiting.value());
  json.field("interference_seconds", time.interference.value());
  json.field("overlap_fraction", time.overlap_fraction);
  json.close();
}

void write_spread(JsonWriter& json, std::string_view name, const runtime::Spread& spread) {
  json.open_object(name);
  json.field("p10", spread.p10.value());
  json.field("median", spread.median.value());
  json.field("p90", spread.p90.value());
  json.close();
}

void write_strings(JsonWriter& json, std::string_view name, const std::vector<std::string>& texts) {
  json.open_array(name);
  for (const std::string& text : texts) json.element(text);
  json.close();
}

void write_error_bar(JsonWriter& json, const ErrorBar& bar) {
  json.open_object("error_bar");
  json.field("low_seconds", bar.low.value());
  json.field("high_seconds", bar.high.value());
  json.field("calibrated_as", bar.calibrated_as);
  if (bar.coverage) json.field("coverage", *bar.coverage);
  write_strings(json, "extrapolated", bar.outside);
  json.close();
}

void write_error_bar(JsonWriter& json, const StepErrorBar& bar) {
  json.open_object("error_bar");
  json.field("probability", 0.8);
  json.field("low_seconds", bar.low.value());
  json.field("high_seconds", bar.high.value());
  json.field("known_share", bar.known_share);
  write_strings(json, "unknown", bar.unknown);
  write_strings(json, "extrapolated", bar.extrapolated);
  json.close();
}

void write_op(JsonWriter& json, const OpSummary& op) {
  json.open_object();
  json.field("label", op.label);
  json.field("kind", op.kind);
  json.field("count", op.count);
  json.field("busy_seconds", op.busy.value());
  json.field("flop", op.flop.value());
  json.field("bytes", op.bytes);
  if (op.error_bar) write_error_bar(json, *op.error_bar);
  if (op.each) write_spread(json, "each_seconds", *op.each);
  json.close();
}

void write_collective(JsonWriter& json, const CollectiveSummary& collective) {
  json.open_object();
  json.field("label", collective.label);
  json.field("kind", collective.kind);
  json.field("axis", collective.axis);
  json.field("count", collective.count);
  json.field("members", collective.members);
  json.field("bytes", collective.bytes);
  json.field("seconds", collective.time.value());
  json.field("floor_seconds", collective.floor.value());
  json.field("ratio_to_floor", collective.ratio_to_floor);
  json.field("algorithm_bytes_per_second", collective.algorithm_bandwidth.value());
  json.field("bus_bytes_per_second", collective.bus_bandwidth.value());
  json.field("busy_seconds", collective.busy.value());
  json.field("exposed_seconds", collective.exposed.value());
  if (collective.error_bar) write_error_bar(json, *collective.error_bar);
  if (collective.each) write_spread(json, "each_seconds", *collective.each);
  json.close();
}

void write_link_kind(JsonWriter& json, std::string_view kind, const LinkSummary& links) {
  json.open_object(kind);
  json.field("bytes", links.bytes);
  json.field("mean_utilization", links.mean_utilization);
  json.field("max_utilization", links.max_utilization);
  json.close();
}

void write_links(JsonWriter& json, const Report& report) {
  json.open_object("links");
  for (const std::string_view first : {"nvlink", "infiniband"}) write_link_kind(json, first, report.links.at(std::string(first)));
  for (const auto& [kind, links] : report.links) {
    if (kind != "nvlink" && kind != "infiniband") write_link_kind(json, kind, links);
  }
  json.close();
  json.open_array("hottest_links");
  for (const HotLink& link : report.hottest_links) {
    json.open_object();
    json.field("name", link.name);
    json.field("utilization", link.utilization);
    json.field("bytes", link.bytes);
    json.close();
  }
  json.close();
}

void write_breakdown(JsonWriter& json, std::string_view name, const MemorySummary::Breakdown& breakdown) {
  json.open_object(name);
  for (const auto& [kind, bytes] : breakdown) json.field(kind, bytes.value());
  json.close();
}

void write_critical_path(JsonWriter& json, const CriticalPathSummary& path) {
  json.open_object("critical_path");
  json.field("computation_seconds", path.computation.value());
  json.field("communication_seconds", path.communication.value());
  json.field("waiting_seconds", path.waiting.value());
  json.open_array("classes");
  for (const CriticalPathSummary::Class& one : path.classes) {
    json.open_object();
    json.field("label", one.label);
    json.field("kind", one.kind);
    json.field("ops", one.ops);
    json.field("seconds", one.time.value());
    json.close();
  }
  json.close();
  json.close();
}

void write_sensitivity(JsonWriter& json, const std::vector<KnobEffect>& effects) {
  if (effects.empty()) return;
  json.open_array("sensitivity");
  for (const KnobEffect& effect : effects) {
    json.open_object();
    json.field("name", effect.knob);
    json.field("change", effect.change);
    json.field("throughput_gain", effect.gain);
    json.field("throughput_loss", effect.loss);
    json.field("elasticity", effect.elasticity);
    json.close();
  }
  json.close();
}

void write_floors_and_engine(JsonWriter& json, const Report& report) {
  json.open_object("floors");
  json.field("compute_seconds", report.floors.compute.value());
  json.field("roofline_seconds", report.floors.roofline.value());
  json.field("network_seconds", report.floors.network.value());
  json.field("step_over_floor", report.floors.step_over_floor);
  json.close();
  if (report.classes > 0) {
    json.open_object("folded");
    json.field("classes", static_cast<std::int64_t>(report.classes));
    json.close();
  }
  json.open_object("engine");
  json.field("events", static_cast<std::int64_t>(report.events));
  json.field("wall_seconds", report.wall_seconds);
  json.close();
}

void write_measured(JsonWriter& json, const MeasuredFacts& facts) {
  json.open_object("measured");
  json.field("backend", facts.backend);
  json.field("seed", static_cast<std::int64_t>(facts.seed));
  json.field("warm_up_steps", facts.warm_up_steps);
  json.field("timed_steps", facts.timed_steps);
  write_spread(json, "step_seconds", facts.step);
  json.close();
  write_machine(json, facts.machine);
  if (!facts.numerics) return;
  json.open_object("numerics");
  json.field("max_relative_error", facts.numerics->max_relative_error);
  json.field("tolerance", facts.numerics->tolerance);
  json.field("passed", facts.numerics->passed);
  json.close();
}

}  // namespace

void write_memory(JsonWriter& json, const MemorySummary& memory) {
  json.open_object("memory");
  json.field("peak_bytes", memory.peak.value());
  json.field("capacity_bytes", memory.capacity.value());
  json.field("fits", memory.fits);
  json.field("rank", memory.fullest.value);
  write_breakdown(json, "breakdown", memory.breakdown);
  write_breakdown(json, "parameters_by_kind", memory.parameters_by_kind);
  json.close();
}

void write_expert_load(JsonWriter& json, const ExpertLoad& load) {
  json.open_object("expert_load");
  json.field("imbalance", load.imbalance);
  json.field("variance", load.variance);
  json.close();
}

void write_report(JsonWriter& json, const Report& report) {
  write_header(json, report);
  if (report.error_bar) write_error_bar(json, *report.error_bar);
  write_time(json, report.time);
  json.open_array("ops");
  for (const OpSummary& op : report.ops) write_op(json, op);
  json.close();
  json.open_array("collectives");
  for (const CollectiveSummary& collective : report.collectives) write_collective(json, collective);
  json.close();
  write_links(json, report);
  write_memory(json, report.memory);
  write_expert_load(json, report.expert_load);
  write_critical_path(json, report.critical_path);
  write_sensitivity(json, report.sensitivity);
  write_floors_and_engine(json, report);
  if (report.measured) write_measured(json, *report.measured);
}

std::string to_json(const Report& report) {
  JsonWriter json;
  json.open_object();
  write_report(json, report);
  json.close();
  return std::move(json).text();
}

}  // namespace fabricast::validation
