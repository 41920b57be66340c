#include "validation/import_cluster.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "validation/profile_writer.hpp"

namespace fabricast::validation {

namespace fs = std::filesystem;

namespace {

constexpr double giga = 1e9;

std::string rate_text(BytesPerSecond rate) { return fmt::format("{:.6g} GB/s", rate.value() / giga); }

BytesPerSecond link_rate(NodeFacts& facts, const ImportOptions& options) {
  if (options.nvlink) return *options.nvlink;
  if (!facts.compute_capability) {
    facts.notes.push_back("the dump does not tell the generation of NVLink: 25 GB/s per link and direction taken (A100, H100); --nvlink RATE changes it");
    return BytesPerSecond(25 * giga);
  }
  const auto rate = nvlink_rate(*facts.compute_capability);
  if (!rate) throw hw::ConfigError(fmt::format("the rate of an NVLink of compute capability {} is not known; give it with --nvlink", *facts.compute_capability));
  return *rate;
}

/// The model has one port per GPU: what the GPU would get of all ports together.
BytesPerSecond port_of_a_gpu(NodeFacts& facts) {
  const double ports_per_gpu = static_cast<double>(facts.nics) / static_cast<double>(facts.gpus);
  if (facts.nics != facts.gpus) {
    facts.notes.push_back(fmt::format("{} ports for {} GPUs: the model has one per GPU, which gets {:.3g} of a port", facts.nics, facts.gpus,
                                      std::min(1.0, ports_per_gpu)));
  }
  return *facts.nic_bandwidth * std::min(1.0, ports_per_gpu);
}

/// References to other files, which the base names relative to itself.
void add_references(const hw::JsonNode& base, const fs::path& folder, std::vector<ProfileChange>& changes) {
  for (const char* key : {"$schema", "gpu", "collectives"}) {
    const hw::JsonNode* node = base.find(key);
    const auto* path = node == nullptr ? nullptr : std::get_if<std::string>(&node->value);
    if (path == nullptr) continue;
    const fs::path target = fs::absolute(fs::path(base.file).parent_path() / *path).lexically_normal();
    changes.push_back({std::string("/") + key, target.lexically_relative(fs::absolute(folder).lexically_normal()).generic_string()});
  }
}

}  // namespace

std::optional<BytesPerSecond> nvlink_rate(std::int64_t compute_capability) {
  if (compute_capability == 70 || compute_capability == 80 || compute_capability == 90) return BytesPerSecond(25 * giga);
  if (compute_capability == 100 || compute_capability == 103) return BytesPerSecond(50 * giga);
  return std::nullopt;
}

std::string cluster_text(const hw::JsonNode& base, NodeFacts& facts, const ImportOptions& options) {
  std::vector<ProfileChange> changes;
  changes.push_back({"/name", "imported"});
  changes.push_back({"/source", "One node, imported from " + options.source + ". What that does not tell is taken from " + base.file});
  changes.push_back({"/nodes", std::int64_t{1}});
  changes.push_back({"/node/gpus", facts.gpus});
  std::string node = "From " + options.source + ": the number of GPUs";
  if (facts.nvlinks > 0) {
    const BytesPerSecond link = link_rate(facts, options);
    changes.push_back({"/node/nvlink_bandwidth", rate_text(link * static_cast<double>(facts.nvlinks))});
    node += fmt::format(", {} NVLinks each, {} per link and direction", facts.nvlinks, rate_text(link));
  } else {
    facts.notes.push_back("no NVLink is listed: nvlink_bandwidth is the base's");
  }
  if (facts.pcie_bandwidth) {
    changes.push_back({"/node/pcie_bandwidth", rate_text(*facts.pcie_bandwidth)});
    node += ", the GPUs' PCIe slots";
  }
  changes.push_back({"/node/source", node + fmt::format(". The rest from {}", base.file)});
  if (facts.nic_bandwidth) {
    changes.push_back({"/fabric/nic_bandwidth", rate_text(port_of_a_gpu(facts))});
    changes.push_back({"/fabric/source", fmt::format("From {}: {} ports of {}. The rest from {}", options.source, facts.nics, rate_text(*facts.nic_bandwidth), base.file)});
  } else if (facts.nics > 0) {
    facts.notes.push_back(fmt::format("{} network ports, whose rate the dump does not tell: nic_bandwidth is the base's", facts.nics));
  }
  add_references(base, options.folder.empty() ? fs::path(".") : options.folder, changes);
  return changed_text(base, changes);
}

}  // namespace fabricast::validation
