// The experiment file with every file that it names put in its place and every --set applied: one tree, each value with its own place.
// Knows where a file may be named, and no other meaning.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "hardware_models/json_node.hpp"

namespace fabricast::validation {

/// A string at /model, /cluster, /strategy, /cluster/gpu or /cluster/collectives is the path of a file, relative to the file that holds
/// it (for a --set: to the experiment file). `sets` are "path.to.key=value"; a value is JSON, or else a string. Throws hw::ConfigError.
[[nodiscard]] hw::JsonNode load_document(const std::filesystem::path& path, const std::vector<std::string>& sets);

/// The same for a cluster on its own: "gpu" and "collectives" may name files.
[[nodiscard]] hw::JsonNode load_cluster_document(const std::filesystem::path& path);

/// The node at a pointer into the document; where it ends early, the last node on the way and the part of the pointer left over.
struct FoundNode {
  const hw::JsonNode& node;
  std::string_view rest;
};
[[nodiscard]] FoundNode find_node(const hw::JsonNode& document, std::string_view pointer);

}  // namespace fabricast::validation
