#include "strategies/placement.hpp"

#include <algorithm>
#include <array>
#include <map>

#include "hardware_models/config_error.hpp"

namespace fabricast::strategy {
namespace {

using ir::Axis;

constexpr std::array default_order{Axis::tensor, Axis::context, Axis::data, Axis::pipeline};

std::vector<Axis> checked_order(const std::vector<Axis>& wanted) {
  if (wanted.empty()) return {default_order.begin(), default_order.end()};
  if (!std::is_permutation(wanted.begin(), wanted.end(), default_order.begin(), default_order.end())) {
    throw hw::ConfigError("axis_order must name tensor, context, data and pipeline once each, innermost first", "/strategy/axis_order");
  }
  return wanted;
}

std::int64_t degree_of(const Degrees& d, Axis axis) {
  switch (axis) {
    case Axis::tensor: return d.tensor;
    case Axis::context: return d.context;
    case Axis::data: return d.data;
    case Axis::pipeline: return d.pipeline;
    case Axis::expert: return d.expert;
    case Axis::expert_tensor: return d.expert_tensor;
    case Axis::expert_data: return d.expert_data;
  }
  return 1;
}

std::int32_t& coordinate(ir::Coordinates& at, Axis axis) {
  switch (axis) {
    case Axis::tensor: return at.tensor;
    case Axis::context: return at.context;
    case Axis::data: return at.data;
    case Axis::pipeline: return at.stage;
    case Axis::expert: return at.expert;
    case Axis::expert_tensor: return at.expert_tensor;
    case Axis::expert_data: return at.expert_data;
  }
  return at.stage;
}

ir::RankBinding bind(std::int64_t rank, const Degrees& d, const std::vector<Axis>& order) {
  ir::RankBinding binding{};
  std::int64_t rest = rank;
  for (const Axis axis : order) {
    coordinate(binding.at, axis) = static_cast<std::int32_t>(rest % degree_of(d, axis));
    rest /= degree_of(d, axis);
  }
  const std::int64_t logical = binding.at.tensor + d.tensor * (binding.at.context + d.context * binding.at.data);
  binding.at.expert_tensor = static_cast<std::int32_t>(logical % d.expert_tensor);
  binding.at.expert = static_cast<std::int32_t>(logical / d.expert_tensor % d.expert);
  binding.at.expert_data = static_cast<std::int32_t>(logical / d.expert_tensor / d.expert);
  binding.source = static_cast<std::int32_t>(logical);
  binding.program = ir::ProgramId{binding.at.stage};
  binding.gpu = GpuId{static_cast<std::int32_t>(rank)};
  return binding;
}

/// The coordinates that members of a group on `axis` share: all others of the same side (attention or expert).
std::array<std::int32_t, 4> group_key(const ir::Coordinates& at, Axis axis) {
  switch (axis) {
    case Axis::tensor: return {0, at.context, at.data, at.stage};
    case Axis::context: return {at.tensor, 0, at.data, at.stage};
    case Axis::data: return {at.tensor, at.context, 0, at.stage};
    case Axis::pipeline: return {at.tensor, at.context, at.data, 0};
    case Axis::expert: return {at.expert_tensor, 0, at.expert_data, at.stage};
    case Axis::expert_tensor: return {0, at.expert, at.expert_data, at.stage};
    case Axis::expert_data: return {at.expert_tensor, at.expert, 0, at.stage};
  }
  return {};
}

void form_groups(Placement& placement, const Degrees& d, Axis axis) {
  std::map<std::array<std::int32_t, 4>, ir::GroupId> id_of;
  for (std::size_t r = 0; r < placement.ranks.size(); ++r) {
    ir::RankBinding& binding = placement.ranks[r];
    const auto next = ir::GroupId{static_cast<std::int32_t>(placement.groups.size())};
    const auto [entry, is_new] = id_of.try_emplace(group_key(binding.at, axis), next);
    if (is_new) placement.groups.push_back({axis, std::vector<Rank>(static_cast<std::size_t>(degree_of(d, axis)))});
    const std::int32_t member = coordinate(binding.at, axis);
    placement.groups[entry->second.index()].members[static_cast<std::size_t>(member)] = Rank{static_cast<std::int32_t>(r)};
    binding.groups[static_cast<std::size_t>(axis)] = entry->second;
    binding.members[static_cast<std::size_t>(axis)] = member;
  }
}

}  // namespace

Placement place(const Degrees& degrees, const std::vector<Axis>& axis_order) {
  const std::vector<Axis> order = checked_order(axis_order);
  Placement placement;
  placement.ranks.reserve(static_cast<std::size_t>(degrees.world));
  for (std::int64_t rank = 0; rank < degrees.world; ++rank) placement.ranks.push_back(bind(rank, degrees, order));
  for (const Axis axis : {Axis::tensor, Axis::context, Axis::data, Axis::pipeline, Axis::expert, Axis::expert_tensor, Axis::expert_data}) {
    form_groups(placement, degrees, axis);
  }
  return placement;
}

}  // namespace fabricast::strategy
