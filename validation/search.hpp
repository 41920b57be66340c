// Finds the fastest strategies that fit: what cannot be built is refused, what does not fit or cannot be among the best by a valid bound is
// not simulated. Knows no text.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sim/simulate.hpp"
#include "validation/report.hpp"
#include "validation/search_space.hpp"
#include "validation/search_spec.hpp"

namespace fabricast::validation {

struct SearchOptions {
  sim::SimulateOptions simulate;            // flow or flow_exact; at bound nothing is pruned
  std::size_t threads = 1;
  bool exhaustive = false;                  // simulate all that fit
  bool pareto = false;                      // keep also what may be the fastest within less memory
};

struct FoundStrategy {
  strategy::StrategySpec strategy;
  std::int64_t micro_batches = 1;
  Report report;
};

/// Strategies that can be built: families times their placements and algorithms.
struct SearchCounts {
  std::size_t misfits = 0, pruned = 0, simulated = 0;
  std::size_t alike = 0;                    // that run as one of the simulated does
  [[nodiscard]] std::size_t all() const { return misfits + pruned + simulated + alike; }
};

struct SearchResult {
  std::vector<FoundStrategy> best;          // of each degrees (tensor, pipeline, expert, expert_tensor) the best; at most `top`
  std::vector<FoundStrategy> pareto;        // of all simulated: those that none is both faster and smaller than; the fastest first
  std::optional<FoundStrategy> baseline;
  std::optional<std::string> baseline_error;
  SearchCounts counts;
  std::vector<Refusal> refused;             // the commonest first
  std::optional<FoundStrategy> smallest;    // of those that do not fit: report.memory alone is filled
};

using Advance = std::function<void(std::size_t done, std::size_t all)>;   // from any thread

/// Better: the shorter step, then less memory, then the earlier in strategy_space. The result does not depend on the number of threads.
/// Throws hw::ConfigError where no strategy can be built.
[[nodiscard]] SearchResult search(const SearchSpec& spec, const SearchOptions& options,
                                  const Advance& advance = [](std::size_t, std::size_t) {});

/// The base experiment with another strategy.
[[nodiscard]] Experiment with_strategy(const Experiment& base, const strategy::StrategySpec& strategy, std::int64_t micro_batches);

}  // namespace fabricast::validation
