// Predicts measured steps: the experiments that they name, through the simulator. Knows no report.
#pragma once

#include <vector>

#include "validation/judge.hpp"

namespace fabricast::validation {

/// Rows of kind "step forward". An experiment names its own cluster and profiles. Throws hw::ConfigError for one that cannot be read or simulated.
void judge_steps(const Measurements& set, const JudgeOptions& options, std::vector<AgreementRow>& rows);

}  // namespace fabricast::validation
