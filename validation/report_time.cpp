#include <algorithm>
#include <numeric>
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

RankTime& operator+=(RankTime& sum, const RankTime& rank) {
  sum.computation += rank.computation;
  sum.communication += rank.communication;
  sum.exposed += rank.exposed;
  sum.idle += rank.idle;
  sum.waiting += rank.waiting;
  for (std::size_t c = 0; c < sum.class_busy.size(); ++c) {
    sum.class_busy[c] += rank.class_busy[c];
    sum.class_exposed[c] += rank.class_exposed[c];
  }
  return sum;
}

/// What the ops of one class come to.
struct ClassComputation {
  double count = 0, traffic = 0;
  Flop flop;
  SimTime busy;

  ClassComputation& operator+=(const ClassComputation& other) {
    count += other.count;
    traffic += other.traffic;
    flop += other.flop;
    busy += other.busy;
    return *this;
  }
};

struct RankComputation {
  std::vector<ClassComputation> classes;
  Flop model_flop;
  Seconds at_peak, roofline;
};

RankComputation computation_of(const ir::Schedule& schedule, const ir::Trace& trace, const OpClasses& classes, const ScheduleFacts& facts,
                               Rank rank) {
  RankComputation result;
  result.classes.resize(classes.computation().size());
  for (std::size_t i = 0; i < schedule.program_of(rank).ops.size(); ++i) {
    const ir::OpIndex op{static_cast<std::int32_t>(i)};
    const auto kernel = facts.of(rank, op);
    if (!kernel) continue;
    const ir::OpInterval& ran = trace.at(rank, op);
    result.classes[classes.of(rank, op)] += {1, static_cast<double>(kernel->traffic.value()), kernel->flop, ran.end - ran.start};
    result.model_flop += kernel->model_flop;
    result.at_peak += kernel->at_peak;
    result.roofline += kernel->roofline;
  }
  return result;
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

ir::RankClasses alike_ranks(const ir::RankClasses& by_size, const ir::Trace& trace) {
  if (!trace.row_of.empty()) return ir::refine(by_size, trace.row_of);
  std::vector<std::int32_t> own_rows(by_size.of.size());
  std::iota(own_rows.begin(), own_rows.end(), 0);
  return ir::refine(by_size, own_rows);
}

TimeAccount account_time(const ir::Schedule& schedule, const ir::Trace& trace, const OpClasses& classes, const ir::RankClasses& alike) {
  const std::size_t ranks = schedule.ranks.size(), class_count = classes.communication().size();
  const TimeSpan step = step_of(trace);
  std::vector<RankTime> times;   // by class of ranks
  for (const Rank rank : alike.representatives) {
    auto activities = activities_of(schedule, trace, classes, rank);
    clip(activities, step);
    times.push_back(account(activities, step, class_count));
  }
  RankTime sum;
  sum.class_busy.resize(class_count);
  sum.class_exposed.resize(class_count);
  for (const std::int32_t rank_class : alike.of) sum += times[static_cast<std::size_t>(rank_class)];
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
                                       const ScheduleFacts& facts, const ir::RankClasses& alike) {
  const std::size_t ranks = schedule.ranks.size(), class_count = classes.computation().size();
  std::vector<RankComputation> computations;   // by class of ranks
  for (const Rank rank : alike.representatives) computations.push_back(computation_of(schedule, trace, classes, facts, rank));
  std::vector<ClassComputation> sums(class_count);
  ComputationAccount result;
  for (const std::int32_t rank_class : alike.of) {
    const RankComputation& rank = computations[static_cast<std::size_t>(rank_class)];
    for (std::size_t c = 0; c < class_count; ++c) sums[c] += rank.classes[c];
    result.model_flop += rank.model_flop;
    result.at_peak = std::max(result.at_peak, rank.at_peak);
    result.roofline = std::max(result.roofline, rank.roofline);
  }
  for (std::size_t c = 0; c < class_count; ++c) {
    const OpClass& op_class = classes.computation()[c];
    result.ops.push_back({op_class.label, op_class.kind, mean(sums[c].count, ranks), mean(sums[c].busy, ranks),
                          Flop(mean(sums[c].flop.value(), ranks)), mean(sums[c].traffic, ranks)});
  }
  return result;
}

}  // namespace fabricast::validation
