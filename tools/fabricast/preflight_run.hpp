// fabricast execute --preflight: asks this machine what it is and has the answers judged. Knows no schedule being run.
#pragma once

#include <optional>
#include <string>

#include "tools/fabricast/exit_code.hpp"
#include "tools/fabricast/options.hpp"

namespace fabricast::tools {

/// `backend` as given on the command line; none: cuda, since clusters are what preflight is for. Exit 1 where a check failed.
[[nodiscard]] ExitCode run_preflight(const std::optional<std::string>& experiment, const std::optional<std::string>& backend,
                                     const CommonOptions& common);

}  // namespace fabricast::tools
