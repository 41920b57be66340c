#include <filesystem>
#include <iostream>
#include <optional>

#include "hardware_models/quantity.hpp"
#include "tools/fabricast/commands.hpp"
#include "tools/fabricast/options.hpp"
#include "tools/fabricast/output.hpp"
#include "validation/csv_table.hpp"
#include "validation/import_cluster.hpp"
#include "validation/nccl_tests.hpp"
#include "validation/read_measurements.hpp"

namespace fabricast::tools {

namespace {

class ImportCommand final : public Command {
 public:
  explicit ImportCommand(Syntax& syntax);
  [[nodiscard]] ExitCode run() const override;

 private:
  [[nodiscard]] std::string measurements() const;
  [[nodiscard]] std::string cluster(bool xml) const;

  std::string format_, file_, base_, out_ = "-";
  std::string kind_;
  std::optional<std::string> nvlink_;
};

ImportCommand::ImportCommand(Syntax& syntax) {
  syntax.argument("format", format_, "nccl-tests, nvidia-smi-topo or nccl-topo-xml", "FORMAT");
  syntax.argument("file", file_, "What the tool wrote", "FILE");
  syntax.option("--out", out_, "Write the measurements or the cluster to this file; - is standard output", "FILE");
  syntax.option("--kind", kind_, "nccl-tests: the collective, where its output does not tell", "NAME");
  syntax.option("--base", base_, "Topologies: the cluster that gives what the dump does not tell", "FILE");
  syntax.option("--nvlink", nvlink_, "Topologies: rate of one NVLink per direction, such as '25 GB/s'", "RATE");
  syntax.example(
      "Example: calibrate to a cluster from what its owner has\n"
      "  all_reduce_perf -b 8 -e 8G -f 2 -g 8 > all_reduce.txt;  fabricast import nccl-tests all_reduce.txt --out all_reduce.json\n"
      "  nvidia-smi topo -m > topo.txt\n"
      "  fabricast import nvidia-smi-topo topo.txt --base configs/clusters/h100_1x8.json --out my_node.json");
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

ExitCode ImportCommand::run() const {
  const bool known = format_ == "nccl-tests" || format_ == "nvidia-smi-topo" || format_ == "nccl-topo-xml";
  if (!known) {
    throw UsageError("import knows no format '" + format_ + "'" + did_you_mean(format_, {"nccl-tests", "nvidia-smi-topo", "nccl-topo-xml"}) +
                     "; there are nccl-tests, nvidia-smi-topo and nccl-topo-xml");
  }
  const std::string text = format_ == "nccl-tests" ? measurements() : cluster(format_ == "nccl-topo-xml");
  Output out(out_);
  out.stream() << text;
  out.commit();
  return ExitCode::success;
}

}  // namespace

std::unique_ptr<Command> make_import_command(Syntax& syntax) { return std::make_unique<ImportCommand>(syntax); }

}  // namespace fabricast::tools
