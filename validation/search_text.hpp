// A search's result as people and programs read it.
#pragma once

#include <string>

#include "validation/search.hpp"
#include "validation/text.hpp"

namespace fabricast::validation {

/// "EP8_TP1": every degree above 1, tensor always.
[[nodiscard]] std::string degrees_text(const strategy::StrategySpec& strategy);
/// What else it chooses: "2 micro-batches, 4 chunks, deduplicated", or "-".
[[nodiscard]] std::string choices_text(const FoundStrategy& found);

[[nodiscard]] std::string summary(const SearchSpec& spec, const SearchResult& result, const SearchOptions& options, TextStyle style);

/// The JSON of schema "fabricast.search/1", ending in a newline.
[[nodiscard]] std::string to_json(const SearchSpec& spec, const SearchResult& result, const SearchOptions& options);

}  // namespace fabricast::validation
