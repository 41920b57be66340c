// Runs a schedule and checks its numbers: what `fabricast execute` calls. Knows no strategy, no backend and no files.
#pragma once

#include <optional>

#include "runtime/executor.hpp"
#include "runtime/numerics.hpp"

namespace fabricast::runtime {

struct ExecuteOptions {
  RunOptions run;
  std::optional<Problem> problem;      // absent: numbers are not checked
};

struct Execution {
  MeasuredRun run;
  std::optional<Numerics> numerics;
};

/// Throws as Executor::run does.
[[nodiscard]] Execution execute(const ir::Schedule& schedule, Executor& executor, ExecuteOptions options);

}  // namespace fabricast::runtime
