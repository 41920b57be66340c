#include "sim/distinct_ops.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "strategies/ir/alike_steps.hpp"
#include "strategies/ir/work_json.hpp"
#include "strategies/ir/work_sizes.hpp"

namespace fabricast::sim {
namespace {

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

std::vector<ir::OpIndex> first_alike(const ir::Schedule& schedule, const ir::Program& program) {
  ir::AlikeSteps alike(schedule.routing);
  std::map<std::string, ir::OpIndex> first;
  std::vector<ir::OpIndex> result;
  for (std::size_t i = 0; i < program.ops.size(); ++i) {
    std::vector<ir::RoutingStep> steps;
    std::string key = ir::work_json(program.ops[i].work);
    for (const std::string& text : steps_in(program.ops[i].work, steps)) {
      for (std::size_t at = key.find(text); at != std::string::npos; at = key.find(text, at + 1)) key.erase(at, text.size());
    }
    for (const ir::RoutingStep& step : steps) key += ir::step_json(alike.first_like(step));
    result.push_back(first.try_emplace(std::move(key), ir::OpIndex{static_cast<std::int32_t>(i)}).first->second);
  }
  return result;
}

std::vector<ir::OpIndex> distinct_ops(const ir::Schedule& schedule, const ir::Program& program) {
  std::vector<ir::OpIndex> ops = first_alike(schedule, program);
  std::sort(ops.begin(), ops.end());
  ops.erase(std::unique(ops.begin(), ops.end()), ops.end());
  return ops;
}

}  // namespace fabricast::sim
