#include "sim/distinct_ops.hpp"

#include <map>
#include <set>
#include <string>

#include "strategies/ir/work_json.hpp"
#include "strategies/ir/work_sizes.hpp"

namespace fabricast::sim {
namespace {

/// Finds for every routing step the first one that deals alike: with uniform routing, layers that host alike and passes in which a source's
/// rows fall on the same experts (then they do so for every source).
class AlikeSteps {
 public:
  explicit AlikeSteps(const ir::RoutingPlan& routing) : routing_(routing) {}

  [[nodiscard]] ir::RoutingStep first_like(ir::RoutingStep step) {
    if (!routing_.is_uniform() || !routing_.has_placement()) return step;
    step.layer = first_layer_like(step.layer);
    std::vector<std::int64_t> rows;
    for (std::int32_t expert = 0; expert < routing_.shape().experts; ++expert) rows.push_back(routing_.rows(step, 0, expert));
    return by_rows_[step.layer].try_emplace(std::move(rows), step).first->second;
  }

 private:
  [[nodiscard]] std::int32_t first_layer_like(std::int32_t layer) {
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

  const ir::RoutingPlan& routing_;
  std::map<std::vector<std::vector<std::int32_t>>, std::int32_t> by_hosts_;
  std::map<std::int32_t, std::map<std::vector<std::int64_t>, ir::RoutingStep>> by_rows_;
};

std::set<std::string> steps_in(const ir::Work& work, std::vector<ir::RoutingStep>& steps) {
  std::set<std::string> texts;
  const auto note = [&](const ir::RoutingStep& step) {
    if (texts.insert(ir::step_json(step)).second) steps.push_back(step);
  };
  ir::for_each_size(work, ir::Overloaded{[&](const ir::Extent& extent) {
                                           if (extent.of != ir::Extent::Of::constant) note(extent.step);
                                         },
                                         [&](const ir::ExpertRows& rows) { note(rows.step); }, note});
  return texts;
}

}  // namespace

std::vector<ir::OpIndex> distinct_ops(const ir::Schedule& schedule, const ir::Program& program) {
  AlikeSteps alike(schedule.routing);
  std::set<std::string> seen;
  std::vector<ir::OpIndex> result;
  for (std::size_t i = 0; i < program.ops.size(); ++i) {
    std::vector<ir::RoutingStep> steps;
    std::string key = ir::work_json(program.ops[i].work);
    for (const std::string& text : steps_in(program.ops[i].work, steps)) {
      for (std::size_t at = key.find(text); at != std::string::npos; at = key.find(text, at + 1)) key.erase(at, text.size());
    }
    for (const ir::RoutingStep& step : steps) key += ir::step_json(alike.first_like(step));
    if (seen.insert(std::move(key)).second) result.push_back(ir::OpIndex{static_cast<std::int32_t>(i)});
  }
  return result;
}

}  // namespace fabricast::sim
