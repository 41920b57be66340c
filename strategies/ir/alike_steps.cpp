#include "strategies/ir/alike_steps.hpp"

#include <utility>

namespace fabricast::ir {

RoutingStep AlikeSteps::first_like(RoutingStep step) {
  if (!routing_.is_uniform() || !routing_.has_placement()) return step;
  const auto known = layer_like_.find(step.layer);
  step.layer = known != layer_like_.end() ? known->second : (layer_like_[step.layer] = first_layer_like(step.layer));
  std::vector<std::int64_t> rows;
  for (std::int32_t expert = 0; expert < routing_.shape().experts; ++expert) rows.push_back(routing_.rows(step, 0, expert));
  return by_rows_[step.layer].try_emplace(std::move(rows), step).first->second;
}

std::int32_t AlikeSteps::first_layer_like(std::int32_t layer) {
  std::vector<std::vector<std::int32_t>> hosted;
  std::size_t copies = 0;
  for (std::int32_t position = 0; position < routing_.shape().expert_positions; ++position) {
    hosted.push_back(routing_.hosted(layer, position));
    copies += hosted.back().size();
  }
  // Where experts have several copies, rows are dealt over them from where the layer before left off.
  if (copies != static_cast<std::size_t>(routing_.shape().experts)) return layer;
  return by_hosts_.try_emplace(std::move(hosted), layer).first->second;
}

}  // namespace fabricast::ir
