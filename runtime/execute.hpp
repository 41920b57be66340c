// Runs a schedule on a backend of this process and checks its numbers: what `fabricast execute` calls. Knows no strategy and no files.
#pragma once

#include <optional>

#include "runtime/executor.hpp"
#include "runtime/numerics.hpp"

namespace fabricast::runtime {

enum class Backend : std::uint8_t { host };

struct ExecuteOptions {
  RunOptions run;
  Backend backend = Backend::host;
  std::optional<Problem> problem;      // absent: numbers are not checked
};

struct Execution {
  MeasuredRun run;
  std::optional<Numerics> numerics;
};

/// Throws as Executor::run does.
[[nodiscard]] Execution execute(const ir::Schedule& schedule, ExecuteOptions options);

}  // namespace fabricast::runtime
