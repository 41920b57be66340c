#include "strategies/ir/validate.hpp"

#include <fmt/format.h>

#include <vector>

#include "strategies/ir/instances.hpp"
#include "strategies/ir/validate_parts.hpp"

namespace fabricast::ir {

namespace {

/// The first rank that runs each program.
std::vector<Rank> first_ranks(const Schedule& schedule) {
  constexpr Rank none{-1};
  std::vector<Rank> first(schedule.programs.size(), none);
  for (std::size_t r = 0; r < schedule.ranks.size(); ++r) {
    const ProgramId program = schedule.ranks[r].program;
    if (program.value < 0 || program.index() >= first.size()) {
      throw ScheduleError(fmt::format("rank {}: program {} does not exist; the schedule has {}", r, program.value, first.size()));
    }
    if (first[program.index()] == none) first[program.index()] = Rank{static_cast<std::int32_t>(r)};
  }
  for (std::size_t p = 0; p < first.size(); ++p) {
    if (first[p] == none) throw ScheduleError(fmt::format("program {} (\"{}\"): no rank runs it; drop it", p, schedule.programs[p].name));
  }
  return first;
}

}  // namespace

std::string describe(const Schedule& schedule, Rank rank, OpIndex op) {
  const Op& it = schedule.program_of(rank).ops[op.index()];
  const auto text = [&](LabelId id) {
    return id.value >= 0 && id.index() < schedule.labels.size() ? schedule.label(id) : fmt::format("label {}", id.value);
  };
  const std::string scope = text(it.scope), label = text(it.label);
  return fmt::format("rank {}, op {} ({}{}{})", rank.value, op.value, scope, scope.empty() ? "" : " / ", label);
}

void validate(const Schedule& schedule) {
  const std::vector<Rank> first = first_ranks(schedule);
  for (const Rank rank : first) check_program(schedule, rank);
  check_groups(schedule);
  check_bindings(schedule);
  for (const Rank rank : first) check_accesses(schedule, rank);
  check_sizes_agree(schedule, match_instances(schedule));
}

}  // namespace fabricast::ir
