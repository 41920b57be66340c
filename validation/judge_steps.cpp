#include "validation/judge_steps.hpp"

#include <filesystem>

#include "validation/forecast.hpp"
#include "validation/report_parts.hpp"

namespace fabricast::validation {

namespace {

constexpr const char* step_kind = "step forward";

Seconds simulated(const StepMeasurement& row) {
  const std::filesystem::path path = std::filesystem::path(row.place.file).parent_path() / row.experiment;
  const TimeSpan step = step_of(forecast(load_experiment(path, row.sets), {}).result.trace);
  return to_seconds(step.end - step.start);
}

}  // namespace

void judge_steps(const Measurements& set, const JudgeOptions& options, std::vector<AgreementRow>& rows) {
  if (!options.wants(step_kind)) return;
  for (const StepMeasurement& row : set.steps) rows.push_back({set.system, step_kind, row.family, row.seconds, simulated(row), row.place});
}

}  // namespace fabricast::validation
