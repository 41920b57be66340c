#include <algorithm>
#include <optional>

#include "validation/report_parts.hpp"

namespace fabricast::validation {

namespace {

double mean(double sum, std::size_t count) { return count == 0 ? 0 : sum / static_cast<double>(count); }
Seconds mean(SimTime sum, std::size_t count) { return Seconds(mean(to_seconds(sum).value(), count)); }

std::vector<Activity> activities_of(const ir::Schedule& schedule, const ir::Trace& trace, const OpClasses& classes, Rank rank) {
  const ir::Program& program = schedule.program_of(rank);
  std::vector<Activity> activities;
  activities.reserve(2 * program.ops.size());
  for (std::size_t i = 0; i < program.ops.size(); ++i) {
    const ir::OpIndex op{static_cast<std::int32_t>(i)};
    const ir::OpInterval& ran = trace.at(rank, op);
    if (!ir::communicates(program.ops[i].work)) {
      activities.push_back({Activity::Kind::computation, ran.start, ran.end});
      continue;
    }
    activities.push_back({Activity::Kind::communication, ran.start, ran.end, classes.of(rank, op)});
    activities.push_back({Activity::Kind::waiting, ran.issued, ran.start});
  }
  return activities;
}

/// Waiting may begin before the step's first op starts (an op is issued, and waits, before anything runs).
void clip(std::vector<Activity>& activities, TimeSpan span) {
  for (Activity& activity : activities) {
    activity.start = std::clamp(activity.start, span.start, span.end);
    activity.end = std::clamp(activity.end, span.start, span.end);
  }
}

}  // namespace

TimeSpan step_of(const ir::Trace& trace) {
  std::optional<TimeSpan> step;
  for (const auto& rank : trace.ops) {
    for (const ir::OpInterval& op : rank) {
      if (!step) step = TimeSpan{op.start, op.end};
      step->start = std::min(step->start, op.start);
      step->end = std::max(step->end, op.end);
    }
  }
  return step.value_or(TimeSpan{});
}

TimeAccount account_time(const ir::Schedule& schedule, const ir::Trace& trace, const OpClasses& classes) {
  const std::size_t ranks = schedule.ranks.size(), class_count = classes.communication().size();
  const TimeSpan step = step_of(trace);
  RankTime sum;
  sum.class_busy.resize(class_count);
  sum.class_exposed.resize(class_count);
  for (std::size_t i = 0; i < ranks; ++i) {
    auto activities = activities_of(schedule, trace, classes, Rank{static_cast<std::int32_t>(i)});
    clip(activities, step);
    const RankTime rank = account(activities, step, class_count);
    sum.computation += rank.computation;
    sum.communication += rank.communication;
    sum.exposed += rank.exposed;
    sum.idle += rank.idle;
    sum.waiting += rank.waiting;
    for (std::size_t c = 0; c < class_count; ++c) {
      sum.class_busy[c] += rank.class_busy[c];
      sum.class_exposed[c] += rank.class_exposed[c];
    }
  }
  TimeAccount result;
  result.total = {mean(sum.computation, ranks), mean(sum.communication, ranks), mean(sum.exposed, ranks),
                  mean(sum.idle, ranks),        mean(sum.waiting, ranks),       0,                            {}};
  if (sum.communication > SimTime(0)) {
    result.total.overlap_fraction = static_cast<double>((sum.communication - sum.exposed).value()) /
                                    static_cast<double>(sum.communication.value());
  }
  for (std::size_t c = 0; c < class_count; ++c) {
    result.busy.push_back(mean(sum.class_busy[c], ranks));
    result.exposed.emplace_back(mean(sum.class_exposed[c].value(), ranks));
  }
  return result;
}

ComputationAccount account_computation(const ir::Schedule& schedule, const ir::Trace& trace, const OpClasses& classes,
                                       const ScheduleFacts& facts) {
  const std::size_t ranks = schedule.ranks.size(), class_count = classes.computation().size();
  std::vector<OpSummary> sums(class_count);
  std::vector<SimTime> busy(class_count);
  ComputationAccount result;
  for (std::size_t r = 0; r < ranks; ++r) {
    const Rank rank{static_cast<std::int32_t>(r)};
    Seconds at_peak, roofline;
    for (std::size_t i = 0; i < schedule.program_of(rank).ops.size(); ++i) {
      const ir::OpIndex op{static_cast<std::int32_t>(i)};
      const auto kernel = facts.of(rank, op);
      if (!kernel) continue;
      const std::size_t c = classes.of(rank, op);
      sums[c].count += 1;
      sums[c].flop += kernel->flop;
      sums[c].bytes += static_cast<double>(kernel->traffic.value());
      busy[c] += trace.at(rank, op).end - trace.at(rank, op).start;
      result.model_flop += kernel->model_flop;
      at_peak += kernel->at_peak;
      roofline += kernel->roofline;
    }
    result.at_peak = std::max(result.at_peak, at_peak);
    result.roofline = std::max(result.roofline, roofline);
  }
  for (std::size_t c = 0; c < class_count; ++c) {
    const OpClass& op_class = classes.computation()[c];
    result.ops.push_back({op_class.label, op_class.kind, mean(sums[c].count, ranks), mean(busy[c], ranks),
                          Flop(mean(sums[c].flop.value(), ranks)), mean(sums[c].bytes, ranks)});
  }
  return result;
}

}  // namespace fabricast::validation
