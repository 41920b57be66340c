#include "validation/search_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "validation/report_json.hpp"
#include "validation/strategy_json.hpp"
#include "validation/summary.hpp"

namespace fabricast::validation {

namespace {

constexpr std::size_t refusals_shown = 5;

std::string axis_letter(ir::Axis axis) {
  switch (axis) {
    case ir::Axis::tensor: return "TP";
    case ir::Axis::data: return "DP";
    case ir::Axis::pipeline: return "PP";
    default: return {};
  }
}

/// "TP-PP-DP" innermost first.
std::string order_text(const std::vector<ir::Axis>& order) {
  std::string text;
  for (const ir::Axis axis : order) {
    if (axis != ir::Axis::context) text += (text.empty() ? "" : "-") + axis_letter(axis);
  }
  return text;
}

/// What takes most of the step beside computation at full speed.
std::string largest_loss(const Report& report) {
  std::map<std::string, Seconds> losses{{"idle", report.time.idle}, {"interference", report.time.interference}};
  for (const CollectiveSummary& collective : report.collectives) losses[collective.axis + " communication"] += collective.exposed;
  const auto largest = std::max_element(losses.begin(), losses.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  if (share_of(largest->second, report.step) < 0.001) return "computation alone";
  return fmt::format("{} {}", largest->first, show_share(share_of(largest->second, report.step)));
}

std::string step_text(const Report& report) {
  if (!report.error_bar) return show(report.step);
  return fmt::format("{} ({:.0f} to {:.0f})", show(report.step), report.error_bar->low.value() * 1e3, report.error_bar->high.value() * 1e3);
}

std::vector<std::string> row(const std::string& rank, const FoundStrategy& found, const std::optional<FoundStrategy>& baseline) {
  const Report& report = found.report;
  std::vector<std::string> cells{rank, degrees_text(found.strategy), choices_text(found), show_count(report.tokens_per_second), step_text(report),
                                 show_share(report.mfu), show_memory(report.memory.peak), show_share(share_of(report.time.communication_exposed, report.step)),
                                 largest_loss(report)};
  if (baseline) cells.push_back(show_factor(report.tokens_per_second / baseline->report.tokens_per_second));
  return cells;
}

std::string ranked_table(const SearchResult& result) {
  constexpr auto left = Table::Align::left;
  std::vector<Table::Column> columns{{"", left}, {"strategy", left}, {"choices", left}, {"tokens/s"}, {"step (ms)"}, {"MFU"}, {"memory"}, {"exposed"},
                                     {"largest loss", left}};
  if (result.baseline) columns.push_back({"speed-up"});
  Table table(std::move(columns));
  for (std::size_t i = 0; i < result.best.size(); ++i) table.add(row(std::to_string(i + 1), result.best[i], result.baseline));
  if (result.baseline) {
    table.add_rule();
    table.add(row("base", *result.baseline, result.baseline));
  }
  return table.text();
}

std::string pareto_table(const SearchResult& result) {
  Table table({{"memory"}, {"tokens/s"}, {"strategy", Table::Align::left}, {"choices", Table::Align::left}});
  for (const FoundStrategy& found : result.pareto) {
    table.add({show_memory(found.report.memory.peak), show_count(found.report.tokens_per_second), degrees_text(found.strategy), choices_text(found)});
  }
  return table.text();
}

std::size_t refusals(const SearchResult& result) {
  std::size_t sum = 0;
  for (const Refusal& one : result.refused) sum += one.families;
  return sum;
}

std::string counts_text(const SearchSpec& spec, const SearchResult& result) {
  const SearchCounts& counts = result.counts;
  const auto shown = [](std::size_t n) { return show_count(static_cast<double>(n)); };
  std::string text = fmt::format("Of {} strategies {} do not fit in {}, {} cannot be among the best by their least step time, {} were simulated",
                                 shown(counts.all()), shown(counts.misfits), show_memory(spec.memory_limit), shown(counts.pruned), shown(counts.simulated));
  if (counts.alike > 0) text += fmt::format(" and {} run as one of those does", shown(counts.alike));
  text += ".";
  if (const std::size_t refused = refusals(result)) text += fmt::format(" The configuration refuses {} more:", shown(refused));
  text = wrap(text, 0);
  for (std::size_t i = 0; i < std::min(result.refused.size(), refusals_shown); ++i) {
    text += wrap(fmt::format("{} as in {}", shown(result.refused[i].families), result.refused[i].why), 2);
  }
  return text;
}

std::string nothing_fits(const SearchSpec& spec, const SearchResult& result) {
  const FoundStrategy& smallest = *result.smallest;
  return wrap(fmt::format("Nothing fits in {}: {} with {} needs least, at least {} on its fullest rank.", show_memory(spec.memory_limit),
                          degrees_text(smallest.strategy), choices_text(smallest), show_memory(smallest.report.memory.peak)), 0);
}

void write_found(JsonWriter& json, const FoundStrategy& found) {
  json.open_object("strategy");
  write_strategy(json, found.strategy);
  json.close();
  json.field("micro_batches", found.micro_batches);
}

}  // namespace

std::string degrees_text(const strategy::StrategySpec& s) {
  std::string text;
  if (s.expert > 1) text += fmt::format("EP{}_", s.expert);
  text += fmt::format("TP{}", s.tensor);
  if (s.expert_tensor && *s.expert_tensor != s.tensor) text += fmt::format("_ETP{}", *s.expert_tensor);
  if (s.pipeline > 1) text += fmt::format("_PP{}", s.pipeline);
  return text;
}

std::string choices_text(const FoundStrategy& found) {
  const strategy::StrategySpec& s = found.strategy;
  std::vector<std::string> parts;
  if (found.micro_batches > 1) parts.push_back(fmt::format("{} micro-batches", found.micro_batches));
  if (s.virtual_pipeline > 1) parts.push_back(fmt::format("interleaved {}", s.virtual_pipeline));
  if (s.overlap_chunks > 1) parts.push_back(fmt::format("{} chunks", s.overlap_chunks));
  if (s.expert_placement != strategy::ExpertPlacement::every_layer) parts.emplace_back(fmt::format("experts {}", name_of(s.expert_placement)));
  if (s.expert_input != strategy::ExpertInput::sequence_sharded) parts.emplace_back("input replicated");
  if (s.algorithms.expert != hw::CollectiveAlgorithm::automatic) parts.emplace_back(hw::name_of(s.algorithms.expert));
  if (s.algorithms.tensor != hw::CollectiveAlgorithm::automatic) parts.push_back(fmt::format("tensor {}", hw::name_of(s.algorithms.tensor)));
  if (!s.axis_order.empty()) parts.push_back("order " + order_text(s.axis_order));
  return parts.empty() ? "-" : fmt::format("{}", fmt::join(parts, ", "));
}

std::string summary(const SearchSpec& spec, const SearchResult& result, const SearchOptions& options, TextStyle style) {
  const Experiment& base = spec.base;
  std::string text = style.strong(fmt::format("{}: strategies for {} on {} GPUs of {}", base.name, base.model.name, base.cluster.gpus(), base.cluster.name)) +
                     fmt::format(", {} tokens a step, at most {} per GPU\n\n",
                                 show_count(static_cast<double>(base.workload.sequences * base.workload.sequence_length)), show_memory(spec.memory_limit));
  if (result.best.empty()) return text + nothing_fits(spec, result) + "\n" + counts_text(spec, result);
  text += style.strong("The best of each degrees") + "\n" + ranked_table(result);
  if (result.baseline_error) text += wrap("The baseline cannot be: " + *result.baseline_error, 2);
  if (result.baseline && !result.baseline->report.memory.fits) text += "  The baseline does not fit.\n";
  text += "\n" + style.strong("What bounds the best") + "\n";
  for (const std::string& sentence : what_bounds(result.best.front().report)) text += wrap(sentence, 2);
  text += "\n" + style.strong(options.pareto || options.exhaustive ? "Throughput against memory" : "Throughput against memory, among those simulated (--pareto: among all)") +
          "\n" + pareto_table(result) + "\n" + counts_text(spec, result);
  return text;
}

std::string to_json(const SearchSpec& spec, const SearchResult& result, const SearchOptions& options) {
  JsonWriter json;
  json.open_object();
  json.field("schema", "fabricast.search/1");
  json.field("name", spec.base.name);
  json.field("objective", "tokens_per_second");
  json.field("memory_limit_bytes", spec.memory_limit.value());
  json.open_object("strategies");
  json.field("refused", static_cast<std::int64_t>(refusals(result)));
  json.field("do_not_fit", static_cast<std::int64_t>(result.counts.misfits));
  json.field("pruned", static_cast<std::int64_t>(result.counts.pruned));
  json.field("simulated", static_cast<std::int64_t>(result.counts.simulated));
  json.field("alike", static_cast<std::int64_t>(result.counts.alike));
  json.close();
  json.open_array("refused");
  for (const Refusal& one : result.refused) {
    json.open_object();
    json.field("strategies", static_cast<std::int64_t>(one.families));
    json.field("why", one.why);
    json.close();
  }
  json.close();
  const auto write_all = [&](const FoundStrategy& found) {
    write_found(json, found);
    if (result.baseline) json.field("speedup", found.report.tokens_per_second / result.baseline->report.tokens_per_second);
    json.open_object("report");
    write_report(json, found.report);
    json.close();
  };
  if (result.baseline) {
    json.open_object("baseline");
    write_all(*result.baseline);
    json.close();
  }
  json.open_array("best");
  for (const FoundStrategy& found : result.best) {
    json.open_object();
    write_all(found);
    json.close();
  }
  json.close();
  json.field("pareto_of_all", options.pareto || options.exhaustive);
  json.open_array("pareto");
  for (const FoundStrategy& found : result.pareto) {
    json.open_object();
    write_found(json, found);
    json.field("tokens_per_second", found.report.tokens_per_second);
    json.field("step_seconds", found.report.step.value());
    json.field("peak_bytes", found.report.memory.peak.value());
    json.close();
  }
  json.close();
  if (result.best.empty() && result.smallest) {
    json.open_object("smallest");
    write_found(json, *result.smallest);
    json.field("peak_bytes", result.smallest->report.memory.peak.value());
    json.close();
  }
  json.close();
  return std::move(json).text();
}

}  // namespace fabricast::validation
