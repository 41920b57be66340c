#include "validation/op_classes.hpp"

#include <algorithm>

namespace fabricast::validation {

namespace {

std::size_t intern(std::vector<OpClass>& classes, OpClass wanted) {
  const auto found = std::find(classes.begin(), classes.end(), wanted);
  if (found != classes.end()) return static_cast<std::size_t>(found - classes.begin());
  classes.push_back(std::move(wanted));
  return classes.size() - 1;
}

}  // namespace

std::optional<ir::Axis> axis_of(const ir::Work& work) {
  if (const auto* collective = std::get_if<ir::Collective>(&work)) return collective->axis;
  if (std::holds_alternative<ir::AllToAll>(work)) return ir::Axis::expert;
  if (const auto* send = std::get_if<ir::Send>(&work)) return send->axis;
  if (const auto* receive = std::get_if<ir::Recv>(&work)) return receive->axis;
  return std::nullopt;
}

OpClasses::OpClasses(const ir::Schedule& schedule, const ir::Instances& instances) : schedule_(schedule), instances_(instances) {
  for (const ir::Program& program : schedule.programs) {
    auto& classes = class_of_.emplace_back();
    for (const ir::Op& op : program.ops) {
      if (std::holds_alternative<ir::Recv>(op.work)) {
        classes.emplace_back();
        continue;
      }
      auto& table = ir::communicates(op.work) ? communication_ : computation_;
      classes.emplace_back(intern(table, {schedule.label(op.label), std::string(ir::kind_of(op.work)), axis_of(op.work)}));
    }
  }
}

std::size_t OpClasses::of(Rank rank, ir::OpIndex op) const {
  const auto own = class_of_[schedule_.ranks[rank.index()].program.index()][op.index()];
  if (own) return *own;
  const ir::InstanceMember sender = instances_.all[instances_.at(rank, op).index()].members.front();
  return *class_of_[schedule_.ranks[sender.rank.index()].program.index()][sender.op.index()];
}

}  // namespace fabricast::validation
