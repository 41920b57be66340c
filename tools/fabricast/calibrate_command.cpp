#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <optional>
#include <set>

#include "hardware_models/cluster_config.hpp"
#include "hardware_models/gpu_config.hpp"
#include "tools/fabricast/bench_output.hpp"
#include "tools/fabricast/commands.hpp"
#include "tools/fabricast/host_calibration.hpp"
#include "tools/fabricast/options.hpp"
#include "tools/fabricast/output.hpp"
#include "validation/agreement.hpp"
#include "validation/calibrate_collectives.hpp"
#include "validation/calibrate_gpu.hpp"
#include "validation/calibration_text.hpp"
#include "validation/experiment_document.hpp"
#include "validation/profile_writer.hpp"
#include "validation/read_measurements.hpp"

namespace fabricast::tools {

namespace {

using validation::CollectiveCalibration;
using validation::GpuCalibration;
using validation::Measurements;

class CalibrateCommand final : public Command {
 public:
  explicit CalibrateCommand(Syntax& syntax);
  [[nodiscard]] ExitCode run() const override;

 private:
  [[nodiscard]] std::string command_line() const;
  [[nodiscard]] bool is_host() const { return measure_ || base_ == "host"; }
  void check_options() const;
  void check_host_options() const;
  [[nodiscard]] GpuCalibration fit_gpu(const Measurements& measurements, const validation::Provenance& provenance) const;
  [[nodiscard]] CollectiveCalibration fit_collectives(const Measurements& measurements, const validation::Provenance& provenance) const;

  std::vector<std::string> inputs_, skipped_;
  std::string base_, out_, system_, name_, cluster_, collectives_;
  std::optional<std::string> csv_;
  std::optional<std::string> measure_;
  HostMeasuring host_;
  bool quiet_ = false;
};

CalibrateCommand::CalibrateCommand(Syntax& syntax) {
  syntax.optional_arguments("inputs", inputs_, "Measurements: our JSON or CSV, nccl-tests' output, or published tables");
  syntax.option("--base", base_, "Profile to start from: it gives the specification, and the constants that no input determines; 'host': none, the inputs are a host's",
                "FILE|host");
  syntax.option("--out", out_, "Write the fitted profile, which a cluster can name as it is", "FILE");
  syntax.option("--cluster", cluster_,
                "Cluster that the collectives ran on: links, and the library's profile to start from", "FILE");
  syntax.option("--collectives", collectives_, "Write the fitted profile of the communication library, which a cluster can name as it is", "FILE");
  syntax.option("--measure", measure_, "Instead of reading inputs, run this machine's micro-benchmarks; --out is then a cluster of host ranks", "host");
  syntax.option("--experiment", host_.experiment, "With --measure: its shapes and ranks; else a table of the usual shapes", "FILE");
  syntax.option("--ranks", host_.ranks, "With --measure and no experiment: ranks at once (default: processors)");
  syntax.option("--repetitions", host_.repetitions, "With --measure: samples of each, in two rounds");
  syntax.option("--keep", host_.keep, "With --measure: write what was measured", "FILE");
  syntax.option("--system", system_, "Use this system's rows of published tables, such as h100_sxm", "NAME");
  syntax.option("--skip", skipped_, "Leave out rows of this kind, such as 'gemm fp16'; repeatable", "KIND");
  syntax.option("--name", name_, "Name of the new profile (default: the base's)", "NAME");
  syntax.option("--csv", csv_, "Write every held-out row as CSV", "FILE");
  syntax.flag("-q,--quiet", quiet_, "Print no table");
  syntax.example(
      "Example: fit the GPU of this machine to its own micro-benchmarks\n"
      "  fabricast execute --microbench --backend cuda --json measured.json\n"
      "  fabricast calibrate measured.json --base configs/gpus/h100_sxm_80gb.json --out my_h100.json\n"
      "and its communication library to what nccl-tests printed\n"
      "  fabricast calibrate all_reduce.txt all_gather.txt --cluster configs/clusters/h100_1x8.json --collectives my_nccl.json\n"
      "and this machine as eight ranks in one process, to forecast what `execute` will take\n"
      "  fabricast calibrate --measure host --ranks 8 --out host.json;  fabricast simulate EXPERIMENT --set cluster=host.json");
}

/// What to type to do it again.
std::string CalibrateCommand::command_line() const {
  std::string text = "fabricast calibrate";
  if (measure_) text += " --measure host";
  if (host_.experiment) text += " --experiment " + *host_.experiment;
  if (host_.ranks) text += fmt::format(" --ranks {}", *host_.ranks);
  if (measure_) text += fmt::format(" --repetitions {}", host_.repetitions);
  for (const std::string& input : inputs_) text += ' ' + input;
  if (!system_.empty()) text += " --system " + system_;
  for (const std::string& kind : skipped_) text += " --skip \"" + kind + '"';
  if (!base_.empty()) text += " --base " + base_;
  if (!out_.empty()) text += " --out " + out_;
  if (!collectives_.empty()) text += " --cluster " + cluster_ + " --collectives " + collectives_;
  if (!name_.empty()) text += " --name " + name_;
  return text;
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

std::string machine_text(const Measurements& measurements) {
  const runtime::Machine& machine = measurements.machine;
  if (machine.device.empty()) return measurements.system.empty() ? "unknown" : measurements.system + ", as the sources name it";
  return machine.host.empty() ? machine.device : machine.host + ": " + machine.device;
}

void write_profile(Output& out, const hw::JsonNode& base, const std::vector<validation::ProfileChange>& changes,
                   const hw::CalibrationRecord& record, const validation::Provenance& provenance) {
  out.stream() << validation::profile_text(base, changes, record, provenance);
  out.commit();
}

void CalibrateCommand::check_host_options() const {
  if (measure_ && *measure_ != "host") throw UsageError("--measure is 'host', not '" + *measure_ + "': GPUs are measured by tools of their own");
  if (measure_ && !inputs_.empty()) throw UsageError("--measure host takes no inputs; --base host fits a host's profile to measured files");
  if (measure_ && !base_.empty() && base_ != "host") throw UsageError("a host's measurements describe no GPU: leave --base out beside --measure host");
  if (!measure_ && (host_.experiment || host_.ranks || host_.keep)) throw UsageError("--experiment, --ranks and --keep are for --measure host");
  if (!cluster_.empty() || !collectives_.empty()) throw UsageError("a host's profile holds its collectives: leave --cluster and --collectives out");
  if (!system_.empty() || !name_.empty()) throw UsageError("--system and --name are for GPUs");
  if (out_.empty()) throw UsageError("calibrate needs --out: where to write the host's profile");
}

void CalibrateCommand::check_options() const {
  if (is_host()) return check_host_options();
  if (host_.experiment || host_.ranks || host_.keep) throw UsageError("--experiment, --ranks and --keep are for --measure host");
  if (inputs_.empty()) throw UsageError("calibrate needs inputs: measurements in our JSON or CSV, nccl-tests' output, or published tables");
  if (out_.empty() && collectives_.empty()) throw UsageError("calibrate needs --out or --collectives: where to write the profile of a GPU, or of a communication library");
  if (!out_.empty() && base_.empty()) {
    throw UsageError("calibrate --out needs --base: the profile that gives the specification, such as configs/gpus/h100_sxm_80gb.json");
  }
  if (!collectives_.empty() && cluster_.empty()) {
    throw UsageError("calibrate --collectives needs --cluster: where they were measured, such as configs/clusters/h100_1x8.json");
  }
  if (!base_.empty() && out_.empty()) throw UsageError("--base is for a GPU's profile, which --out writes");
  if (!cluster_.empty() && collectives_.empty()) throw UsageError("--cluster is for a library's profile, which --collectives writes");
}

GpuCalibration CalibrateCommand::fit_gpu(const Measurements& measurements, const validation::Provenance& provenance) const {
  Output out(out_);
  const hw::JsonNode base = hw::parse_json_file(base_);
  const auto name = name_.empty() ? std::nullopt : std::optional(name_);
  GpuCalibration fit = validation::calibrate_gpu(hw::read_gpu(base), measurements, name);
  write_profile(out, base, validation::changes_of(fit, base, name_, provenance.date), fit.gpu.calibration, provenance);
  if (!quiet_ && !Output::is_standard_output(out_)) print(validation::constants_table(fit) + '\n' + validation::kinds_table(fit.gpu.calibration));
  return fit;
}

CollectiveCalibration CalibrateCommand::fit_collectives(const Measurements& measurements, const validation::Provenance& provenance) const {
  Output out(collectives_);
  const hw::JsonNode cluster = validation::load_cluster_document(cluster_);
  CollectiveCalibration fit = validation::calibrate_collectives(hw::read_cluster(cluster), measurements);
  const hw::JsonNode& base = *cluster.find("collectives");
  write_profile(out, base, validation::changes_of(fit, base, provenance.date), fit.collectives.calibration, provenance);
  if (!quiet_ && !Output::is_standard_output(collectives_)) {
    print(validation::constants_table(fit) + '\n' + validation::kinds_table(fit.collectives.calibration));
  }
  return fit;
}

ExitCode CalibrateCommand::run() const {
  check_options();
  Measurements measurements = measure_ ? measure_host(host_, command_line()) : gather(inputs_, system_);
  std::erase_if(measurements.kernels, [&](const validation::KernelMeasurement& row) {
    return std::find(skipped_.begin(), skipped_.end(), row.kind) != skipped_.end();
  });
  std::erase_if(measurements.collectives, [&](const validation::CollectiveMeasurement& row) {
    return std::find(skipped_.begin(), skipped_.end(), hw::name_of(row.kind)) != skipped_.end();
  });
  const validation::Provenance provenance{command_line(), date_and_time(), machine_text(measurements), inputs_};
  std::vector<validation::AgreementRow> held_out;
  if (is_host()) held_out = write_host_profile(measurements, provenance, out_, quiet_);
  else if (!out_.empty()) held_out = fit_gpu(measurements, provenance).held_out;
  if (!collectives_.empty()) {
    std::vector<validation::AgreementRow> more = fit_collectives(measurements, provenance).held_out;
    std::move(more.begin(), more.end(), std::back_inserter(held_out));
  }
  if (csv_) {
    Output csv(*csv_);
    csv.stream() << validation::to_csv(validation::agreement(std::move(held_out)));
    csv.commit();
  }
  return ExitCode::success;
}

}  // namespace

std::unique_ptr<Command> make_calibrate_command(Syntax& syntax) { return std::make_unique<CalibrateCommand>(syntax); }

}  // namespace fabricast::tools
