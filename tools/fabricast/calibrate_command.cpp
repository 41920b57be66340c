#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cmath>
#include <ctime>
#include <iostream>
#include <optional>
#include <set>

#include "hardware_models/gpu_config.hpp"
#include "tools/fabricast/commands.hpp"
#include "tools/fabricast/options.hpp"
#include "tools/fabricast/output.hpp"
#include "validation/agreement.hpp"
#include "validation/calibrate_gpu.hpp"
#include "validation/profile_writer.hpp"
#include "validation/read_measurements.hpp"

namespace fabricast::tools {

namespace {

using validation::FittedConstant;
using validation::GpuCalibration;
using validation::Measurements;

class CalibrateCommand final : public Command {
 public:
  explicit CalibrateCommand(Syntax& syntax);
  [[nodiscard]] ExitCode run() const override;

 private:
  [[nodiscard]] std::string command_line() const;

  std::vector<std::string> inputs_, skipped_;
  std::string base_, out_, system_, name_;
  std::optional<std::string> csv_;
  bool quiet_ = false;
};

CalibrateCommand::CalibrateCommand(Syntax& syntax) {
  syntax.arguments("inputs", inputs_, "Measurements: our JSON or CSV, nccl-tests' output, or published tables");
  syntax.option("--base", base_, "Profile to start from: it gives the specification, and the constants that no input determines", "FILE");
  syntax.option("--out", out_, "Write the fitted profile, which a cluster can name as it is", "FILE");
  syntax.option("--system", system_, "Use this system's rows of published tables, such as h100_sxm", "NAME");
  syntax.option("--skip", skipped_, "Leave out rows of this kind, such as 'gemm fp16'; repeatable", "KIND");
  syntax.option("--name", name_, "Name of the new profile (default: the base's)", "NAME");
  syntax.option("--csv", csv_, "Write every held-out row as CSV", "FILE");
  syntax.flag("-q,--quiet", quiet_, "Print no table");
  syntax.example(
      "Example: fit the GPU of this machine to its own micro-benchmarks\n"
      "  fabricast execute --microbench --json measured.json\n"
      "  fabricast calibrate measured.json --base configs/gpus/h100_sxm_80gb.json --out my_h100.json");
}

/// What to type to do it again.
std::string CalibrateCommand::command_line() const {
  std::string text = "fabricast calibrate";
  for (const std::string& input : inputs_) text += ' ' + input;
  if (!system_.empty()) text += " --system " + system_;
  for (const std::string& kind : skipped_) text += " --skip \"" + kind + '"';
  text += " --base " + base_ + " --out " + out_;
  if (!name_.empty()) text += " --name " + name_;
  return text;
}

std::string today() {
  const std::time_t now = std::time(nullptr);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", std::gmtime(&now));
  return text.data();
}

void append(Measurements& all, Measurements&& more) {
  if (all.system.empty()) all.system = more.system;
  std::move(more.kernels.begin(), more.kernels.end(), std::back_inserter(all.kernels));
  std::move(more.collectives.begin(), more.collectives.end(), std::back_inserter(all.collectives));
  std::move(more.interference.begin(), more.interference.end(), std::back_inserter(all.interference));
  if (more.launch) all.launch = more.launch;
  if (all.machine.device.empty()) all.machine = more.machine;
}

Measurements gather(const std::vector<std::string>& inputs, const std::string& system) {
  Measurements all;
  std::set<std::string> systems;
  for (const std::string& input : inputs) {
    for (Measurements& set : validation::read_measurements(input)) {
      if (!set.system.empty() && !system.empty() && set.system != system) continue;
      if (!set.system.empty()) systems.insert(set.system);
      append(all, std::move(set));
    }
  }
  if (systems.size() > 1) {
    std::string names;
    for (const std::string& name : systems) names += (names.empty() ? "" : ", ") + name;
    throw UsageError("the inputs hold several systems (" + names + "); choose one with --system");
  }
  return all;
}

std::string shown(validation::GpuParameter::Form form, double value) {
  if (form == validation::GpuParameter::Form::seconds) return validation::duration_text(value);
  return form == validation::GpuParameter::Form::whole ? fmt::format("{:.0f}", value) : fmt::format("{:.3f}", value);
}

std::string constants_table(const GpuCalibration& fit) {
  using validation::Table;
  Table table({{"constant", Table::Align::left}, {"fitted on", Table::Align::left}, {"before"}, {"now"}, {"+-"}});
  for (const FittedConstant& c : fit.constants) {
    const std::string error = !c.determined ? "not determined" : shown(c.form, c.standard_error);
    table.add({c.pointer, c.stage, shown(c.form, c.before), shown(c.form, c.value), error});
  }
  return table.text();
}

std::string kinds_table(const hw::CalibrationRecord& record) {
  using validation::Table;
  const auto percent = [](double share) { return fmt::format("{:.1f} %", 100 * share); };
  Table table({{"kind", Table::Align::left}, {"n"}, {"families"}, {"median"}, {"p90"}, {"worst"}, {"bias"}, {"80 % holds"}, {"", Table::Align::left}});
  for (const hw::CalibratedKind& k : record.kinds) {
    table.add({k.kind, std::to_string(k.count), std::to_string(k.families), percent(k.median_error), percent(k.p90_error), percent(k.worst_error),
               fmt::format("{:+.1f} %", 100 * k.bias), percent(k.coverage), k.held_out ? "" : "one family: not held out"});
  }
  return table.text();
}

/// "/gemm/tiles/1/efficiency" belongs to "gemm"; top-level constants to no group.
std::string group_of(const std::string& pointer) {
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
  for (const validation::StageSummary& stage : fit.stages) {
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

validation::ProfileChange change_of(const FittedConstant& c) {
  using Form = validation::GpuParameter::Form;
  if (c.form == Form::seconds) return {c.pointer, validation::duration_text(c.value)};
  if (c.form == Form::whole) return {c.pointer, static_cast<std::int64_t>(std::llround(c.value))};
  return {c.pointer, std::round(c.value * 1e4) / 1e4};
}

/// A profile of another name is of another chip, whose specification and other constants are the base's.
std::string borrowed_source(const hw::JsonNode& base) {
  const auto text = [&](const char* key) {
    const hw::JsonNode* node = base.find(key);
    const auto* found = node == nullptr ? nullptr : std::get_if<std::string>(&node->value);
    return found == nullptr ? std::string() : *found;
  };
  return "Specification, and what was not fitted anew, of " + text("name") + " (" + base.file + "): " + text("source");
}

std::vector<validation::ProfileChange> changes_of(const GpuCalibration& fit, const hw::JsonNode& base, const std::string& name,
                                                  const std::string& date) {
  std::vector<validation::ProfileChange> changes;
  std::set<std::string> groups;
  if (!name.empty()) changes.push_back({"/name", name});
  if (!name.empty()) changes.push_back({"/source", borrowed_source(base)});
  for (const FittedConstant& c : fit.constants) {
    if (!c.determined || c.pointer.rfind("/calibration/", 0) == 0) continue;
    changes.push_back(change_of(c));
    if (c.pointer == "/pass/permute" && c.stage == "moe layer") changes.push_back({"/pass/weighted_sum", std::round(c.value * 1e4) / 1e4});
    if (!group_of(c.pointer).empty()) groups.insert(group_of(c.pointer));
  }
  for (const std::string& group : groups) changes.push_back({"/" + group + "/source", source_text(group, fit, date)});
  return changes;
}

std::string machine_text(const Measurements& measurements) {
  const runtime::Machine& machine = measurements.machine;
  if (machine.device.empty()) return measurements.system.empty() ? "unknown" : measurements.system + ", as the sources name it";
  return machine.host.empty() ? machine.device : machine.host + ": " + machine.device;
}

ExitCode CalibrateCommand::run() const {
  if (base_.empty()) throw UsageError("calibrate needs --base: the profile that gives the specification, such as configs/gpus/h100_sxm_80gb.json");
  if (out_.empty()) throw UsageError("calibrate needs --out: where to write the profile");
  Output out(out_);
  const hw::JsonNode base = hw::parse_json_file(base_);
  const hw::GpuSpec spec = hw::read_gpu(base);
  Measurements measurements = gather(inputs_, system_);
  std::erase_if(measurements.kernels, [&](const validation::KernelMeasurement& row) {
    return std::find(skipped_.begin(), skipped_.end(), row.kind) != skipped_.end();
  });
  const GpuCalibration fit = validation::calibrate_gpu(spec, measurements);
  const validation::Provenance provenance{command_line(), today(), machine_text(measurements), inputs_};
  out.stream() << validation::profile_text(base, changes_of(fit, base, name_, provenance.date), fit.gpu.calibration, provenance);
  out.commit();
  if (csv_) {
    Output csv(*csv_);
    csv.stream() << validation::to_csv(validation::agreement(fit.held_out));
    csv.commit();
  }
  if (!quiet_ && !Output::is_standard_output(out_)) print(constants_table(fit) + '\n' + kinds_table(fit.gpu.calibration));
  return ExitCode::success;
}

}  // namespace

std::unique_ptr<Command> make_calibrate_command(Syntax& syntax) { return std::make_unique<CalibrateCommand>(syntax); }

}  // namespace fabricast::tools
