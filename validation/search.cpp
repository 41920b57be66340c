#include "validation/search.hpp"

#include <algorithm>
#include <atomic>
#include <numeric>
#include <stdexcept>
#include <tuple>
#include <utility>

#include "hardware_models/config_error.hpp"
#include "sim/cost_model.hpp"
#include "sim/least_step.hpp"
#include "validation/forecast.hpp"
#include "validation/least_peak.hpp"
#include "validation/parallel.hpp"
#include "validation/pipeline_bound.hpp"
#include "validation/report_parts.hpp"

namespace fabricast::validation {

namespace {

// Families that are looked at by the same state of knowledge: what is pruned must not depend on which thread is first. At first little is known.
constexpr std::size_t families_per_round = 16, families_of_first_rounds = 64, families_per_first_round = 4;

using DegreesKey = std::array<std::int64_t, 4>;

DegreesKey degrees_of(const strategy::StrategySpec& s) { return {s.tensor, s.pipeline, s.expert, s.expert_tensor.value_or(s.tensor)}; }

/// A strategy that was simulated, with its place in the space to break ties by.
struct Simulated {
  FoundStrategy found;
  std::size_t family = 0, variant = 0;

  [[nodiscard]] auto rank() const { return std::tuple(found.report.step, found.report.memory.peak, family, variant); }
};

bool better(const Simulated& a, const Simulated& b) { return a.rank() < b.rank(); }

struct Point {
  Seconds step;
  Bytes peak;
};

/// What is known before a round.
class Standings {
 public:
  Standings(std::size_t top, bool pareto) : top_(top), pareto_(pareto) {}

  void enter(Simulated&& one) {
    const Point point{one.found.report.step, one.found.report.memory.peak};
    const bool dominated = std::any_of(front_.begin(), front_.end(), [&](const Simulated& other) {
      return other.found.report.memory.peak <= point.peak && better(other, one);
    });
    if (!dominated) {
      std::erase_if(front_, [&](const Simulated& other) { return point.peak <= other.found.report.memory.peak && better(one, other); });
      front_.push_back(one);
    }
    const auto [place, is_new] = best_.try_emplace(degrees_of(one.found.strategy), one);
    if (!is_new && better(one, place->second)) place->second = std::move(one);
  }

  /// Can a strategy whose step is at least `least` change the result?
  [[nodiscard]] bool may_matter(const strategy::StrategySpec& strategy, Seconds least, Bytes peak) const {
    if (pareto_ && std::none_of(front_.begin(), front_.end(), [&](const Simulated& other) {
          return other.found.report.memory.peak <= peak && other.found.report.step < least;
        })) {
      return true;
    }
    const auto own = best_.find(degrees_of(strategy));
    return (own == best_.end() || least <= own->second.found.report.step) && (!last_wanted_ || least <= *last_wanted_);
  }

  /// To be called before a round.
  void settle() {
    const std::vector<const Simulated*> ranked = ranking();
    if (ranked.size() >= top_) last_wanted_ = ranked[top_ - 1]->found.report.step;
  }

  [[nodiscard]] std::vector<const Simulated*> ranking() const {
    std::vector<const Simulated*> ranked;
    for (const auto& [degrees, one] : best_) ranked.push_back(&one);
    std::sort(ranked.begin(), ranked.end(), [](const Simulated* a, const Simulated* b) { return better(*a, *b); });
    return ranked;
  }
  [[nodiscard]] std::vector<FoundStrategy> front() const {
    std::vector<Simulated> sorted = front_;
    std::sort(sorted.begin(), sorted.end(), better);
    std::vector<FoundStrategy> found;
    for (Simulated& one : sorted) found.push_back(std::move(one.found));
    return found;
  }

 private:
  std::size_t top_;
  bool pareto_;
  std::map<DegreesKey, Simulated> best_;
  std::vector<Simulated> front_;
  std::optional<Seconds> last_wanted_;   // step of the last that is wanted, once there are enough
};

/// What came of one family.
struct Outcome {
  SearchCounts counts;
  std::vector<Simulated> simulated;
  std::optional<FoundStrategy> misfit;   // the smallest
  std::string error;

  void keep_misfit(FoundStrategy found, MemorySummary memory) {
    if (misfit && misfit->report.memory.peak <= memory.peak) return;
    found.report.memory = std::move(memory);
    misfit = std::move(found);
  }
};

class FamilySearch {
 public:
  FamilySearch(const SearchSpec& spec, const SearchOptions& options) : spec_(spec), options_(options), base_(spec.base), cost_(sim::cost_model(spec.base.cluster)) {
    base_.document = {hw::JsonNode::Object{}, spec.experiment_file.string(), 0, {}};   // copies of it would take longer than a schedule
    prunes_ = !options.exhaustive && options.simulate.fidelity != sim::Fidelity::bound;
  }

  /// Of the family's strategies in the default order; nothing where it has to be built for that, or cannot be.
  [[nodiscard]] std::optional<PipelineBound> bound_of(const StrategyFamily& family) const {
    try {
      return pipeline_bound(with_strategy(base_, family.strategy, family.micro_batches), cost_, true);
    } catch (const hw::ConfigError&) {
      return std::nullopt;   // look_at meets the same error
    }
  }

  [[nodiscard]] Outcome look_at(const StrategyFamily& family, std::size_t place, const std::optional<PipelineBound>& bound,
                                const Standings& standings) const {
    Outcome outcome;
    if (bound && bound->parameters + base_.cluster.memory_reserve > spec_.memory_limit) {
      outcome.counts.misfits = family.size();
      outcome.keep_misfit({family.strategy, family.micro_batches, {}}, misfit_of(bound->parameters + base_.cluster.memory_reserve));
    } else if (bound && prunes_ && !standings.may_matter(family.strategy, bound->computation, bound->parameters)) {
      outcome.counts.pruned = family.size();
    } else {
      try {
        for (std::size_t order = 0; order < family.axis_orders.size(); ++order) look_at_order(family, place, order, standings, outcome);
      } catch (const hw::ConfigError& error) {
        outcome.error = error.what();
      } catch (const std::overflow_error& error) {
        outcome.error = std::string("beyond what can be simulated: ") + error.what();
      }
    }
    return outcome;
  }

  [[nodiscard]] FoundStrategy simulate(const Experiment& experiment) const { return found_by(experiment, forecast(experiment, options_.simulate)); }

 private:
  void look_at_order(const StrategyFamily& family, std::size_t place, std::size_t order, const Standings& standings, Outcome& outcome) const {
    strategy::StrategySpec strategy = family.strategy;
    strategy.axis_order = family.axis_orders[order];
    const bool deduplicates = std::any_of(family.algorithms.begin(), family.algorithms.end(), [](const strategy::Algorithms& algorithms) {
      return algorithms.expert == hw::CollectiveAlgorithm::deduplicated;
    });
    const sim::LeastStepOptions what{true, deduplicates};
    const Experiment experiment = with_strategy(base_, strategy, family.micro_batches);
    const auto bound = prunes_ ? pipeline_bound(experiment, cost_, deduplicates) : std::nullopt;
    if (bound && !standings.may_matter(strategy, bound->step, bound->parameters)) {
      outcome.counts.pruned += family.algorithms.size();
      return;
    }
    const Plan planned = plan(experiment);
    const ir::RankClasses by_size = ir::classes_by_size(planned.schedule);
    const Bytes peak = least_peak(planned.schedule, by_size) + base_.cluster.memory_reserve;
    if (peak > spec_.memory_limit) {
      outcome.counts.misfits += family.algorithms.size();
      outcome.keep_misfit({strategy, family.micro_batches, {}}, misfit_of(peak));
    } else if (prunes_ && !standings.may_matter(strategy, least_of(planned, by_size, what), peak)) {
      outcome.counts.pruned += family.algorithms.size();
    } else {
      const bool in_nodes = stays_in_nodes(planned);
      for (std::size_t a = 0; a < family.algorithms.size(); ++a) {
        strategy.algorithms = family.algorithms[a];
        // On one node it is what automatic is.
        if (in_nodes && family.algorithms.size() > 1 && strategy.algorithms.expert == hw::CollectiveAlgorithm::hierarchical) {
          ++outcome.counts.alike;
        } else {
          simulate(with_strategy(base_, strategy, family.micro_batches), peak, place, order * family.algorithms.size() + a, standings, outcome);
        }
      }
    }
  }

  void simulate(const Experiment& experiment, Bytes least_memory, std::size_t family, std::size_t variant, const Standings& standings, Outcome& outcome) const {
    const Forecast done = forecast(experiment, options_.simulate);
    const TimeSpan span = step_of(done.result.trace);
    ++outcome.counts.simulated;
    // A report with its exact memory takes longer than the simulation where micro-batches are many.
    if (prunes_ && !standings.may_matter(experiment.strategy, to_seconds(span.end - span.start), least_memory)) return;
    FoundStrategy found = found_by(experiment, done);
    if (found.report.memory.fits) {
      outcome.simulated.push_back({std::move(found), family, variant});
      return;
    }
    --outcome.counts.simulated;
    ++outcome.counts.misfits;
    MemorySummary memory = found.report.memory;
    outcome.keep_misfit(std::move(found), std::move(memory));
  }

  [[nodiscard]] FoundStrategy found_by(const Experiment& experiment, const Forecast& done) const {
    FoundStrategy found{experiment.strategy, experiment.workload.micro_batches, summarize(experiment, done, options_.simulate.fidelity)};
    found.report.memory.capacity = spec_.memory_limit;
    found.report.memory.fits = found.report.memory.peak <= spec_.memory_limit;
    return found;
  }

  [[nodiscard]] Seconds least_of(const Plan& planned, const ir::RankClasses& by_size, sim::LeastStepOptions what) const {
    return to_seconds(sim::least_step(planned.schedule, planned.instances, by_size, planned.topology, cost_, what));
  }

  /// What is known of a strategy that is not built.
  [[nodiscard]] MemorySummary misfit_of(Bytes least) const {
    MemorySummary memory;
    memory.peak = least;
    memory.capacity = spec_.memory_limit;
    memory.fits = false;
    return memory;
  }

  /// Do the groups of experts?
  [[nodiscard]] static bool stays_in_nodes(const Plan& planned) {
    return std::all_of(planned.schedule.groups.begin(), planned.schedule.groups.end(), [&](const ir::Group& group) {
      const auto node = [&](Rank rank) { return planned.topology.node_of(planned.schedule.ranks[rank.index()].gpu); };
      return group.axis != ir::Axis::expert ||
             std::all_of(group.members.begin(), group.members.end(), [&](Rank rank) { return node(rank) == node(group.members.front()); });
    });
  }

  const SearchSpec& spec_;
  const SearchOptions& options_;
  Experiment base_;
  sim::CostModel cost_;
  bool prunes_ = true;
};

using Bounds = std::vector<std::optional<PipelineBound>>;   // by family

/// The least bounds first, so that what is best is found early; those without one last.
std::vector<std::size_t> promising_first(const Bounds& bounds) {
  std::vector<std::size_t> order(bounds.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    if (!bounds[a] || !bounds[b]) return bounds[a].has_value() && !bounds[b].has_value();
    return bounds[a]->step < bounds[b]->step;
  });
  return order;
}

void refuse(std::vector<Refusal>& refused, const std::string& why) {
  const auto found = std::find_if(refused.begin(), refused.end(), [&](const Refusal& one) { return one.why == why; });
  if (found == refused.end()) {
    refused.push_back({why, 1});
  } else {
    ++found->families;
  }
}

void enter(Outcome&& outcome, SearchResult& result, Standings& standings) {
  result.counts.misfits += outcome.counts.misfits;
  result.counts.pruned += outcome.counts.pruned;
  result.counts.alike += outcome.counts.alike;
  result.counts.simulated += outcome.counts.simulated;
  if (!outcome.error.empty()) refuse(result.refused, outcome.error);
  const auto peak = [](const FoundStrategy& found) { return found.report.memory.peak; };
  if (outcome.misfit && (!result.smallest || peak(*outcome.misfit) < peak(*result.smallest))) result.smallest = std::move(outcome.misfit);
  for (Simulated& one : outcome.simulated) standings.enter(std::move(one));
}

}  // namespace

Experiment with_strategy(const Experiment& base, const strategy::StrategySpec& strategy, std::int64_t micro_batches) {
  Experiment experiment = base;
  experiment.strategy = strategy;
  experiment.workload.micro_batches = micro_batches;
  return experiment;
}

SearchResult search(const SearchSpec& spec, const SearchOptions& options, const Advance& advance) {
  StrategySpace space = strategy_space(spec);
  SearchResult result;
  result.refused = std::move(space.refused);
  const FamilySearch families(spec, options);
  Standings standings(static_cast<std::size_t>(spec.top), options.pareto);
  const std::size_t all = 2 * space.families.size();   // each is bounded, then looked at
  Bounds bounds(space.families.size());
  std::atomic<std::size_t> bounded = 0;
  for_each_index(bounds.size(), options.threads, [&](std::size_t i) {
    bounds[i] = families.bound_of(space.families[i]);
    advance(++bounded, all);
  });
  const std::vector<std::size_t> order = promising_first(bounds);
  for (std::size_t begin = 0, size = 0; begin < order.size(); begin += size) {
    standings.settle();
    size = std::min(begin < families_of_first_rounds ? families_per_first_round : families_per_round, order.size() - begin);
    std::vector<Outcome> outcomes(size);
    for_each_index(outcomes.size(), options.threads, [&](std::size_t i) {
      const std::size_t family = order[begin + i];
      outcomes[i] = families.look_at(space.families[family], family, bounds[family], standings);
    });
    for (Outcome& outcome : outcomes) enter(std::move(outcome), result, standings);
    advance(bounds.size() + begin + outcomes.size(), all);
  }
  std::stable_sort(result.refused.begin(), result.refused.end(), [](const Refusal& a, const Refusal& b) { return a.families > b.families; });
  if (result.counts.all() == 0) {
    throw hw::ConfigError(result.refused.empty() ? "the space of strategies is empty; allow more in 'space'" : "no strategy is possible: " + result.refused.front().why);
  }
  for (const Simulated* one : standings.ranking()) {
    if (result.best.size() < static_cast<std::size_t>(spec.top)) result.best.push_back(one->found);
  }
  result.pareto = standings.front();
  if (!spec.has_baseline) return result;
  try {
    result.baseline = families.simulate(spec.base);
  } catch (const hw::ConfigError& error) {
    result.baseline_error = error.what();
  }
  return result;
}

}  // namespace fabricast::validation
