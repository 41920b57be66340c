// A published table of claims as data: what is claimed, where, and by which arithmetic it is judged. Knows no simulation; audit.hpp judges.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "hardware_models/json_node.hpp"

namespace fabricast::validation {

/// An experiment that claims are judged by: its report is known to expressions by the case's name.
struct ClaimCase {
  std::string name;
  std::filesystem::path experiment;
  std::vector<std::string> sets;  // "path.to.key=value"
  std::string best_key;           // tried at each of best_values, and the best taken (compare.hpp: best_point); empty: as it is
  std::vector<std::string> best_values;
};

/// How a value is read: `what` says under which reading of the claim.
struct Reading {
  std::string what;
  std::string expression;
  std::string place;  // "file:line: /pointer", for errors
};

/// How a value stands to the claimed one where the claim is true.
enum class Relation : std::uint8_t { equals, less, at_most, more, at_least, between };

/// How numbers are shown: a count with commas, a share in %, a factor, a duration in seconds, bytes (1e9 is a GB) or bytes per second.
enum class Format : std::uint8_t { number, count, share, factor, duration, bytes, rate };

struct Claim {
  std::string id, statement, place;
  double claimed = 0, claimed_to = 0;  // claimed_to: upper end of `between`
  Format format = Format::number;
  std::string unit;  // appended to count and number
  Relation relation = Relation::equals;
  double slack = 0;            // equals: how far apart the two may lie
  std::vector<Reading> own;    // what the publication's other figures give: must agree with the claim
  std::vector<Reading> model;  // what the model gives
  std::vector<Reading> needs;  // `what` with {expression:format} in it: what would have to be true
  std::string missing;         // what a judgement lacks
};

struct ClaimSet {
  std::string name, source;
  std::vector<ClaimCase> cases;
  std::map<std::string, double, std::less<>> quantities;  // the publication's own inputs, by name
  std::vector<Claim> claims;
};

/// Experiments are relative to the file. Throws hw::ConfigError.
[[nodiscard]] ClaimSet load_claims(const std::filesystem::path& path);

/// "576,000 tokens/s", "52.5 %".
[[nodiscard]] std::string show_as(Format format, double value, const std::string& unit = {});

/// "share" and so on; nothing for an unknown word.
[[nodiscard]] std::optional<Format> format_named(std::string_view word);

}  // namespace fabricast::validation
