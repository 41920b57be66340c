// Where experts live and how the rows of one (source, expert) are dealt over several copies.
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <stdexcept>

#include "strategies/ir/routing.hpp"

namespace fabricast::ir {

namespace {

void check_copies(const std::vector<std::int32_t>& positions, std::int32_t most, const std::string& where) {
  const bool ascending = std::adjacent_find(positions.begin(), positions.end(), std::greater_equal<>()) == positions.end();
  if (positions.empty() || !ascending || positions.front() < 0 || positions.back() >= most) {
    throw std::invalid_argument(fmt::format("{}: copies must stand at distinct, ascending positions below {}", where, most));
  }
}

template <class Items>
bool all_equal(const Items& items) {
  return std::adjacent_find(items.begin(), items.end(), std::not_equal_to<>()) == items.end();
}

}  // namespace

void RoutingPlan::place_experts(std::vector<std::vector<Replicas>> hosts, std::vector<std::vector<std::vector<Replicas>>> nearest) {
  hosts_ = std::move(hosts);
  nearest_ = std::move(nearest);
  check_placement();
  list_hosted();
  several_copies_ = false;
  for (const auto& layer : hosts_) {
    for (const Replicas& replicas : layer) several_copies_ = several_copies_ || replicas.positions.size() > 1;
  }
  if (several_copies_) deal_over_copies();
}

void RoutingPlan::check_placement() const {
  const auto layers = static_cast<std::size_t>(shape_.layers), experts = static_cast<std::size_t>(shape_.experts);
  const auto wrong_size = [&](const auto& table) { return table.size() != experts; };
  if (hosts_.size() != layers || std::any_of(hosts_.begin(), hosts_.end(), wrong_size)) {
    throw std::invalid_argument(fmt::format("expert placement: {} layers of {} experts must be placed", layers, experts));
  }
  if (!nearest_.empty() && nearest_.size() != layers) throw std::invalid_argument(fmt::format("nearest copies: not {} layers", layers));
  for (std::size_t l = 0; l < layers; ++l) {
    for (std::size_t e = 0; e < experts; ++e) {
      check_copies(hosts_[l][e].positions, shape_.expert_positions, fmt::format("layer {}, expert {}", l, e));
    }
    if (nearest_.empty()) continue;
    if (nearest_[l].size() != static_cast<std::size_t>(shape_.sources) || std::any_of(nearest_[l].begin(), nearest_[l].end(), wrong_size)) {
      throw std::invalid_argument(fmt::format("nearest copies of layer {}: not {} sources of {} experts", l, shape_.sources, experts));
    }
    for (std::size_t s = 0; s < nearest_[l].size(); ++s) {
      for (std::size_t e = 0; e < experts; ++e) {
        const auto& near = nearest_[l][s][e].positions;
        const auto& all = hosts_[l][e].positions;
        if (!near.empty() && std::includes(all.begin(), all.end(), near.begin(), near.end())) continue;
        throw std::invalid_argument(
            fmt::format("layer {}, source {}: the copies of expert {} it uses are not among the placed ones", l, s, e));
      }
    }
  }
}

void RoutingPlan::list_hosted() {
  const auto positions = static_cast<std::size_t>(shape_.expert_positions);
  hosted_.assign(hosts_.size() * positions, {});
  for (std::size_t l = 0; l < hosts_.size(); ++l) {
    for (std::size_t e = 0; e < hosts_[l].size(); ++e) {
      for (const std::int32_t position : hosts_[l][e].positions) {
        hosted_[l * positions + static_cast<std::size_t>(position)].push_back(static_cast<std::int32_t>(e));
      }
    }
  }
}

const std::vector<std::int32_t>& RoutingPlan::copies(std::int32_t layer, std::int32_t source, std::int32_t expert) const {
  const auto l = static_cast<std::size_t>(layer), s = static_cast<std::size_t>(source), e = static_cast<std::size_t>(expert);
  return nearest_.empty() ? hosts_.at(l)[e].positions : nearest_[l][s][e].positions;
}

// Sources that choose among the same copies deal their rows over them as one deck: each goes on where the one before it stopped, so that
// the copies' totals differ by at most 1. The deck starts anew, shifted by one, for every expert, micro-batch and layer.
void RoutingPlan::deal_over_copies() {
  const bool micro_batches_alike = shape_.sources * shape_.tokens * shape_.top_k % shape_.experts == 0;
  dealt_layers_ = is_uniform() && all_equal(hosts_) && all_equal(nearest_) ? 1 : shape_.layers;
  dealt_micro_batches_ = is_uniform() && micro_batches_alike ? 1 : shape_.micro_batches;
  const std::size_t blocks = static_cast<std::size_t>(dealt_layers_) * dealt_micro_batches_ * shape_.sources * shape_.chunks;
  dealt_before_.assign(blocks * shape_.experts, 0);
  for (std::int32_t layer = 0; layer < dealt_layers_; ++layer) {
    for (std::int32_t micro_batch = 0; micro_batch < dealt_micro_batches_; ++micro_batch) {
      for (std::int32_t expert = 0; expert < shape_.experts; ++expert) deal_deck(layer, micro_batch, expert);
    }
  }
}

void RoutingPlan::deal_deck(std::int32_t layer, std::int32_t micro_batch, std::int32_t expert) {
  std::map<std::vector<std::int32_t>, std::size_t> next;  // by copies to choose from
  for (std::int32_t source = 0; source < shape_.sources; ++source) {
    const auto& choice = copies(layer, source, expert);
    std::size_t& dealt_rows = next[choice];
    for (std::int32_t chunk = 0; chunk < shape_.chunks; ++chunk) {
      const RoutingStep step{layer, micro_batch, chunk};
      dealt_before_[deck_place(step, source, expert)] = static_cast<std::uint16_t>(dealt_rows);
      dealt_rows = (dealt_rows + static_cast<std::size_t>(rows(step, source, expert))) % choice.size();
    }
  }
}

std::size_t RoutingPlan::deck_place(RoutingStep step, std::int32_t source, std::int32_t expert) const {
  const std::size_t layer = dealt_layers_ == 1 ? 0 : static_cast<std::size_t>(step.layer);
  const std::size_t micro_batch = dealt_micro_batches_ == 1 ? 0 : static_cast<std::size_t>(step.micro_batch);
  const std::size_t pass = layer * dealt_micro_batches_ + micro_batch;
  return ((pass * shape_.sources + source) * shape_.chunks + step.chunk) * shape_.experts + expert;
}

std::size_t RoutingPlan::first_copy(RoutingStep step, std::int32_t source, std::int32_t expert, std::size_t copies) const {
  const std::size_t shift = static_cast<std::size_t>(step.layer) + step.micro_batch + expert;
  return (dealt_before_[deck_place(step, source, expert)] + shift) % copies;
}

std::int64_t RoutingPlan::rows(RoutingStep step, std::int32_t source, std::int32_t expert, std::int32_t position) const {
  const auto& choice = copies(step.layer, source, expert);
  const auto found = std::lower_bound(choice.begin(), choice.end(), position);
  if (found == choice.end() || *found != position) return 0;
  const std::int64_t all = rows(step, source, expert);
  if (choice.size() == 1) return all;
  const auto count = choice.size(), index = static_cast<std::size_t>(found - choice.begin());
  const std::size_t after_first = (index + count - first_copy(step, source, expert, count)) % count;
  return all / static_cast<std::int64_t>(count) + (after_first < static_cast<std::size_t>(all) % count ? 1 : 0);
}

std::int32_t RoutingPlan::position_of(RoutingStep step, std::int32_t source, std::int32_t expert, std::int64_t row) const {
  const auto& choice = copies(step.layer, source, expert);
  if (choice.size() == 1) return choice.front();
  return choice[(first_copy(step, source, expert, choice.size()) + static_cast<std::size_t>(row)) % choice.size()];
}

}  // namespace fabricast::ir
