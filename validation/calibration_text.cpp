#include "validation/calibration_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "validation/text.hpp"

namespace fabricast::validation {

namespace {

std::string text_of(const hw::JsonNode& object, std::string_view key) {
  const hw::JsonNode* node = object.find(key);
  const auto* found = node == nullptr ? nullptr : std::get_if<std::string>(&node->value);
  return found == nullptr ? std::string() : *found;
}

std::string constant_text(GpuParameter::Form form, double value) {
  if (form == GpuParameter::Form::seconds) return duration_text(value);
  if (form == GpuParameter::Form::rate) return rate_text(value);
  if (form == GpuParameter::Form::bytes) return bytes_text(value);
  if (form == GpuParameter::Form::whole) return fmt::format("{:.0f}", value);
  return value == 0 || value >= 0.01 ? fmt::format("{:.3f}", value) : fmt::format("{:.2g}", value);
}

/// Four decimals, or three digits where those say more: a host's shares lie down to 1e-5.
double rounded_share(double value) {
  if (value == 0) return 0;
  const double scale = std::max(1e4, std::pow(10.0, 2 - std::floor(std::log10(std::abs(value)))));
  return std::round(value * scale) / scale;
}

/// "/gemm/tiles/1/efficiency" belongs to "gemm", "/gemm/grouped/memory" to "gemm/grouped"; top-level constants to no group.
std::string group_of(const std::string& pointer) {
  static const std::string grouped = "/gemm/grouped/";
  if (pointer.rfind(grouped, 0) == 0) return grouped.substr(1, grouped.size() - 2);
  const std::size_t end = pointer.find('/', 1);
  return end == std::string::npos ? std::string() : pointer.substr(1, end - 1);
}

/// The group's source says how its constants came about.
std::string source_text(const std::string& group, const GpuCalibration& fit, const std::string& date) {
  std::string text = "Fitted " + date.substr(0, 10) + " by fabricast calibrate (calibration.provenance has command and inputs): Huber least squares on "
                     "log(predicted / measured).";
  std::set<std::string> stages;
  for (const FittedConstant& c : fit.constants) {
    if (c.determined && group_of(c.pointer) == group) stages.insert(c.stage);
  }
  for (const StageSummary& stage : fit.stages) {
    if (!stages.contains(stage.stage)) continue;
    for (const hw::CalibratedKind& kind : fit.gpu.calibration.kinds) {
      if (std::find(stage.kinds.begin(), stage.kinds.end(), kind.kind) == stage.kinds.end()) continue;
      text += fmt::format(" {}: {} rows of {} families, {} out: median |error| {:.1f} %, 90th percentile {:.1f} %, bias {:+.1f} %.", kind.kind, kind.count,
                          kind.families, kind.held_out ? "each family left" : "none left", 100 * kind.median_error, 100 * kind.p90_error, 100 * kind.bias);
    }
  }
  std::string kept;
  for (const FittedConstant& c : fit.constants) {
    if (!c.determined && group_of(c.pointer) == group) kept += (kept.empty() ? "" : ", ") + c.pointer.substr(group.size() + 2);
  }
  if (!kept.empty()) text += " Not determined by these rows, and kept: " + kept + ".";
  return text;
}

ProfileChange change_of(const FittedConstant& c) {
  if (c.form == GpuParameter::Form::seconds) return {c.pointer, duration_text(c.value)};
  if (c.form == GpuParameter::Form::rate) return {c.pointer, rate_text(c.value)};
  if (c.form == GpuParameter::Form::bytes) return {c.pointer, bytes_text(c.value)};
  if (c.form == GpuParameter::Form::whole) return {c.pointer, static_cast<std::int64_t>(std::llround(c.value))};
  return {c.pointer, rounded_share(c.value)};
}

/// A profile of another name is of another chip, whose specification and other constants are the base's.
std::string borrowed_source(const hw::JsonNode& base) {
  return "Specification, and what was not fitted anew, of " + text_of(base, "name") + " (" + base.file + "): " + text_of(base, "source");
}

/// By kind, of what was judged here.
std::string residuals_text(const hw::CalibrationRecord& record, const std::vector<AgreementRow>& rows) {
  std::string text;
  for (const hw::CalibratedKind& kind : record.kinds) {
    if (std::none_of(rows.begin(), rows.end(), [&](const AgreementRow& row) { return row.kind == kind.kind; })) continue;
    text += fmt::format(" {}: {} rows, median |error| {:.1f} %, 90th percentile {:.1f} %, bias {:+.1f} %.", kind.kind, kind.count,
                        100 * kind.median_error, 100 * kind.p90_error, 100 * kind.bias);
  }
  return text;
}

std::string all_pointers(const std::vector<std::string>& parts) { return fmt::format("{}", fmt::join(parts, ", ")); }

std::string source_of(const CollectiveCalibration& fit, const hw::JsonNode& base, const std::string& date) {
  std::string text = fmt::format("Fitted {} by fabricast calibrate (calibration.provenance has command and inputs) to {} rows: Huber least squares on "
                                 "log(predicted / measured). Left out of their own fit, every {}:",
                                 date.substr(0, 10), fit.rows, fit.left_out == LeftOut::groups ? "operation among a number of GPUs" : "fifth size of each operation");
  text += residuals_text(fit.collectives.calibration, fit.held_out);
  std::string kept;
  for (const FittedCollectiveConstant& c : fit.constants) {
    if (!c.determined) kept += (kept.empty() ? "" : ", ") + all_pointers(c.parameter.pointers);
  }
  if (!kept.empty()) text += " Not determined by these rows, and kept: " + kept + ".";
  return text + " What was not fitted is of " + base.file + ": " + text_of(base, "source");
}

}  // namespace

std::string constants_table(const GpuCalibration& fit) {
  Table table({{"constant", Table::Align::left}, {"fitted on", Table::Align::left}, {"before"}, {"now"}, {"+-"}});
  for (const FittedConstant& c : fit.constants) {
    const std::string error = !c.determined ? "not determined" : constant_text(c.form, c.standard_error);
    table.add({c.pointer, c.stage, constant_text(c.form, c.before), constant_text(c.form, c.value), error});
  }
  return table.text();
}

std::string constants_table(const CollectiveCalibration& fit) {
  Table table({{"constant", Table::Align::left}, {"before"}, {"now"}, {"+-"}});
  for (const FittedCollectiveConstant& c : fit.constants) {
    table.add({all_pointers(c.parameter.pointers), profile_value(c.parameter, c.before), profile_value(c.parameter, c.value),
               c.determined ? profile_value(c.parameter, c.standard_error) : "not determined"});
  }
  return table.text();
}

std::string kinds_table(const hw::CalibrationRecord& record) {
  const auto percent = [](double share) { return fmt::format("{:.1f} %", 100 * share); };
  Table table({{"kind", Table::Align::left}, {"n"}, {"families"}, {"median"}, {"p90"}, {"worst"}, {"bias"}, {"80 % holds"}, {"", Table::Align::left}});
  for (const hw::CalibratedKind& k : record.kinds) {
    table.add({k.kind, std::to_string(k.count), std::to_string(k.families), percent(k.median_error), percent(k.p90_error), percent(k.worst_error),
               fmt::format("{:+.1f} %", 100 * k.bias), percent(k.coverage), k.held_out ? "" : "one family: not held out"});
  }
  return table.text();
}

std::vector<ProfileChange> changes_of(const GpuCalibration& fit, const hw::JsonNode& base, const std::string& name, const std::string& date) {
  std::vector<ProfileChange> changes;
  std::set<std::string> groups;
  if (!name.empty()) changes.push_back({"/name", name});
  if (!name.empty()) changes.push_back({"/source", borrowed_source(base)});
  for (const FittedConstant& c : fit.constants) {
    if (!c.determined || c.pointer.rfind("/calibration/", 0) == 0) continue;
    changes.push_back(change_of(c));
    if (c.pointer == "/pass/permute" && c.stage == "moe layer bf16") changes.push_back({"/pass/weighted_sum", rounded_share(c.value)});
    if (!group_of(c.pointer).empty()) groups.insert(group_of(c.pointer));
  }
  for (const std::string& group : groups) changes.push_back({"/" + group + "/source", source_text(group, fit, date)});
  return changes;
}

std::vector<ProfileChange> changes_of(const CollectiveCalibration& fit, const hw::JsonNode& base, const std::string& date) {
  std::vector<ProfileChange> changes{{"/source", source_of(fit, base, date)}};
  for (const FittedCollectiveConstant& c : fit.constants) {
    if (!c.determined) continue;
    for (const std::string& pointer : c.parameter.pointers) {
      if (c.parameter.form == CollectiveParameter::Form::share) changes.push_back({pointer, std::stod(profile_value(c.parameter, c.value))});
      else changes.push_back({pointer, profile_value(c.parameter, c.value)});
    }
  }
  return changes;
}

}  // namespace fabricast::validation
