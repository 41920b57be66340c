#include <algorithm>
#include <filesystem>
#include <iostream>
#include <optional>
#include <vector>

#include "hardware_models/quantity.hpp"
#include "tools/fabricast/commands.hpp"
#include "tools/fabricast/options.hpp"
#include "tools/fabricast/output.hpp"
#include "validation/csv_table.hpp"
#include "validation/import_cluster.hpp"
#include "validation/import_model.hpp"
#include "validation/nccl_tests.hpp"
#include "validation/read_measurements.hpp"

namespace fabricast::tools {

namespace {

const std::vector<std::string> formats{"nccl-tests", "nvidia-smi-topo", "nccl-topo-xml", "hf-config"};

class ImportCommand final : public Command {
 public:
  explicit ImportCommand(Syntax& syntax);
  [[nodiscard]] ExitCode run() const override;

 private:
  [[nodiscard]] std::string measurements() const;
  [[nodiscard]] std::string cluster(bool xml) const;
  [[nodiscard]] std::string model() const;

  std::string format_, file_, base_, out_ = "-";
  std::string kind_;
  std::optional<std::string> nvlink_, name_;
};

ImportCommand::ImportCommand(Syntax& syntax) {
  syntax.argument("format", format_, "nccl-tests, nvidia-smi-topo, nccl-topo-xml or hf-config (Hugging Face's config.json)", "FORMAT");
  syntax.argument("file", file_, "What the tool wrote", "FILE");
  syntax.option("--out", out_, "Write the measurements, the cluster or the model to this file; - is standard output", "FILE");
  syntax.option("--kind", kind_, "nccl-tests: the collective, where its output does not tell", "NAME");
  syntax.option("--base", base_, "Topologies: the cluster that gives what the dump does not tell", "FILE");
  syntax.option("--nvlink", nvlink_, "Topologies: rate of one NVLink per direction, such as '25 GB/s'", "RATE");
  syntax.option("--name", name_, "hf-config: what to call the model (default: by the folder of config.json)", "NAME");
  syntax.example(
      "Example: calibrate to a cluster from what its owner has, and forecast a model by its published config.json\n"
      "  all_reduce_perf -b 8 -e 8G -f 2 -g 8 > all_reduce.txt;  fabricast import nccl-tests all_reduce.txt --out all_reduce.json\n"
      "  nvidia-smi topo -m > topo.txt\n"
      "  fabricast import nvidia-smi-topo topo.txt --base configs/clusters/h100_1x8.json --out my_node.json\n"
      "  fabricast import hf-config Qwen3-30B-A3B/config.json --out configs/models/qwen3_30b.json");
}

std::string ImportCommand::measurements() const {
  if (!base_.empty() || nvlink_) throw UsageError("--base and --nvlink are for topologies");
  const std::string text = validation::read_measurement_text(file_);
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first != std::string::npos && text[first] == '{') {
    return validation::to_json(validation::read_nccl_tests_json(hw::parse_json_text(text, file_), kind_));
  }
  return validation::to_json(validation::read_nccl_tests_text(text, file_, kind_));
}

std::string ImportCommand::cluster(bool xml) const {
  if (!kind_.empty()) throw UsageError("--kind is for nccl-tests");
  if (base_.empty()) throw UsageError("a topology tells no GPU model and no latency: name a cluster that does with --base, such as configs/clusters/h100_1x8.json");
  validation::ImportOptions options;
  options.source = (xml ? "NCCL's topology in " : "nvidia-smi topo -m in ") + std::filesystem::path(file_).filename().string();
  if (!Output::is_standard_output(out_)) options.folder = std::filesystem::path(out_).parent_path();
  if (nvlink_) {
    try {
      options.nvlink = hw::parse_bandwidth(*nvlink_);
    } catch (const hw::QuantityError& error) {
      throw UsageError("--nvlink " + hw::shown(*nvlink_) + ": " + error.what());
    }
  }
  const std::string text = validation::read_measurement_text(file_);
  validation::NodeFacts facts = xml ? validation::read_nccl_topo_xml(text, file_) : validation::read_nvidia_smi_topo(text, file_);
  const std::string result = validation::cluster_text(hw::parse_json_file(base_), facts, options);
  for (const std::string& note : facts.notes) std::cerr << "fabricast: " << note << '\n';
  return result;
}

/// The folder's, where the file has its usual name.
std::string name_by(const std::filesystem::path& file) {
  const std::string stem = file.stem().string(), folder = std::filesystem::absolute(file).parent_path().filename().string();
  return stem == "config" && !folder.empty() ? folder : stem;
}

std::string ImportCommand::model() const {
  if (!kind_.empty() || !base_.empty() || nvlink_) throw UsageError("--kind, --base and --nvlink are not for hf-config");
  const validation::ImportedModel imported = validation::read_hugging_face_config(hw::parse_json_file(file_), name_.value_or(name_by(file_)));
  for (const std::string& line : imported.notes) note(line);
  return validation::model_text(imported);
}

ExitCode ImportCommand::run() const {
  if (std::find(formats.begin(), formats.end(), format_) == formats.end()) {
    throw UsageError("import knows no format '" + format_ + "'" + did_you_mean(format_, formats) + "; there are nccl-tests, nvidia-smi-topo, nccl-topo-xml and hf-config");
  }
  if (name_ && format_ != "hf-config") throw UsageError("--name is for hf-config");
  const std::string text = format_ == "hf-config" ? model() : format_ == "nccl-tests" ? measurements() : cluster(format_ == "nccl-topo-xml");
  Output out(out_);
  out.stream() << text;
  out.commit();
  return ExitCode::success;
}

}  // namespace

std::unique_ptr<Command> make_import_command(Syntax& syntax) { return std::make_unique<ImportCommand>(syntax); }

}  // namespace fabricast::tools
