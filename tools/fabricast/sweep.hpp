// Settings to try, as the command line gives them. Knows no simulation.
#pragma once

#include <string>
#include <vector>

namespace fabricast::tools {

/// Every combination of "KEY=V1,V2,…": {"workload.micro_batches=1"}, … The last axis varies fastest. Throws UsageError.
[[nodiscard]] std::vector<std::vector<std::string>> combinations(const std::vector<std::string>& axes);

/// Characters that file names should not have become '_'.
[[nodiscard]] std::string plain_name(std::string name);

/// The file to write for one of several experiments: its name before the extension ("out/trace.json" gives "out/trace.ep64_tp2.json"), or
/// inside the directory that `path` names.
[[nodiscard]] std::string path_for(const std::string& path, const std::string& experiment);

}  // namespace fabricast::tools
