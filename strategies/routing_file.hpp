// Measured expert loads from a CSV file. Knows no placement.
#pragma once

#include <string>
#include <vector>

#include "strategies/ir/routing.hpp"

namespace fabricast::strategy {

/// Header "layer,expert,tokens" or "layer,source,expert,tokens", any order of columns; '#' starts a comment line. Loads are relative: they are
/// scaled to the workload's tokens · top_k, so a file recorded on another batch serves too. Layers that the file does not name repeat the
/// named ones in turn. Returns [layer][source or one][expert]. Throws hw::ConfigError with file and line.
[[nodiscard]] std::vector<std::vector<std::vector<double>>> read_routing_file(const std::string& path, const ir::RoutingShape& shape);

}  // namespace fabricast::strategy
