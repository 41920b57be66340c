// The files that an execution leaves: report, Chrome trace, measured trace. Opened before the run, written whole after it. Knows no backend.
#pragma once

#include <optional>
#include <string>

#include "tools/fabricast/output.hpp"
#include "validation/measurement.hpp"

namespace fabricast::tools {

struct MeasuredFiles {
  std::optional<std::string> json, trace, measured;
};

class MeasuredOutput {
 public:
  explicit MeasuredOutput(const MeasuredFiles& files);
  /// The report, for people. Writes what was asked for.
  [[nodiscard]] validation::Report write(const validation::Experiment& experiment, validation::Plan plan,
                                         const validation::Measurement& measurement);

 private:
  std::optional<Output> json_, trace_, measured_;
};

}  // namespace fabricast::tools
