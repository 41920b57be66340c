#include "validation/judge.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "hardware_models/gpu_config.hpp"
#include "validation/judge_collectives.hpp"
#include "validation/judge_steps.hpp"
#include "validation/predict_kernel.hpp"
#include "validation/read_measurements.hpp"

namespace fabricast::validation {

namespace fs = std::filesystem;

namespace {

bool is_table(const fs::path& path) {
  const std::string extension = path.extension().string();
  return extension == ".csv" || extension == ".json" || extension == ".txt";
}

void read_directory(const fs::path& folder, std::vector<Measurements>& sets, std::vector<std::string>& skipped) {
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    if (entry.is_regular_file() && is_table(entry.path())) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  std::string passed_over;
  for (const fs::path& file : files) {
    try {
      for (Measurements& set : read_measurements(file)) sets.push_back(std::move(set));
    } catch (const hw::ConfigError&) {
      passed_over += (passed_over.empty() ? "" : ", ") + file.filename().string();
    }
  }
  if (!passed_over.empty()) skipped.push_back(folder.string() + ": passed over, as they are no measurements: " + passed_over);
}

/// The models of the systems, read once each.
class Models {
 public:
  explicit Models(const JudgeOptions& options) : options_(options) {}

  /// Null where there is no profile.
  const hw::GpuCostModel* of(const std::string& system) {
    const auto known = models_.find(system);
    if (known != models_.end()) return known->second ? &*known->second : nullptr;
    const std::optional<fs::path> path = options_.gpu ? options_.gpu : gpu_profile(options_.configs, system);
    auto& model = models_[system];
    if (path) model.emplace(hw::read_gpu(hw::parse_json_file(*path)), hw::Duty::alone);
    return model ? &*model : nullptr;
  }

 private:
  const JudgeOptions& options_;
  std::map<std::string, std::optional<hw::GpuCostModel>> models_;
};

void judge_kernels(const Measurements& set, const JudgeOptions& options, Models& models, std::vector<AgreementRow>& rows,
                   std::vector<std::string>& notes) {
  if (set.kernels.empty()) return;
  const hw::GpuCostModel* gpu = models.of(set.system);
  if (gpu == nullptr) {
    notes.push_back(fmt::format("{}: no profile for {}; name one with --gpu", set.source,
                                set.system.empty() ? "the machine that was measured" : "system " + set.system));
    return;
  }
  std::size_t cannot = 0;
  for (const KernelMeasurement& row : set.kernels) {
    if (!options.wants(row.kind)) continue;
    if (!can_run(row, gpu->gpu())) {
      ++cannot;
      continue;
    }
    rows.push_back({set.system, row.kind, row.family, row.seconds, predicted(row, *gpu), row.place});
  }
  if (cannot > 0) notes.push_back(fmt::format("{}: {} rows in a precision that {} has no unit for", set.source, cannot, gpu->gpu().name));
}

}  // namespace

bool JudgeOptions::wants(const std::string& kind) const {
  return kinds.empty() || std::any_of(kinds.begin(), kinds.end(), [&](const std::string& part) { return kind.find(part) != std::string::npos; });
}

std::optional<fs::path> gpu_profile(const fs::path& configs, const std::string& system) {
  static const std::map<std::string, std::string> files{
      {"a100_sxm", "a100_sxm_80gb"}, {"h100_sxm", "h100_sxm_80gb"}, {"h800_sxm", "h800_sxm_80gb"}, {"h200_sxm", "h200_sxm_141gb"}, {"b200_sxm", "b200_sxm_180gb"}};
  const auto found = files.find(system);
  if (found == files.end()) return std::nullopt;
  for (const char* folder : {"calibration", "gpus"}) {   // fitted by calibrate, else by hand
    const fs::path path = configs / folder / (found->second + ".json");
    if (fs::exists(path)) return path;
  }
  return std::nullopt;
}

std::vector<Measurements> read_sets(const std::vector<std::string>& paths, std::vector<std::string>& skipped) {
  std::vector<Measurements> sets;
  for (const std::string& path : paths) {
    if (fs::is_directory(path)) {
      read_directory(path, sets, skipped);
    } else {
      for (Measurements& set : read_measurements(path)) sets.push_back(std::move(set));
    }
  }
  return sets;
}

std::vector<AgreementRow> judge(const std::vector<Measurements>& sets, const JudgeOptions& options, std::vector<std::string>& notes) {
  Models models(options);
  Clusters clusters(options);
  std::vector<AgreementRow> rows;
  for (const Measurements& set : sets) {
    for (const auto& [reason, count] : set.left_out) notes.push_back(fmt::format("{}: {} rows left out: {}", set.source, count, reason));
    if (!options.system.empty() && set.system != options.system) continue;
    judge_kernels(set, options, models, rows, notes);
    judge_collectives(set, options, clusters, rows, notes);
    judge_steps(set, options, rows);
  }
  if (rows.empty()) throw hw::ConfigError("nothing left to judge: no row matches" + (notes.empty() ? std::string() : "; " + notes.front()));
  return rows;
}

}  // namespace fabricast::validation
