#include "validation/trace_validation.hpp"

#include <utility>

#include "validation/replay.hpp"
#include "validation/report_parts.hpp"

namespace fabricast::validation {

namespace {

/// The op's class, counted through computation and then communication.
std::size_t class_of(const ir::Schedule& schedule, const OpClasses& classes, Rank rank, ir::OpIndex op) {
  const bool communicates = ir::communicates(schedule.program_of(rank).ops[op.index()].work);
  return classes.of(rank, op) + (communicates ? classes.computation().size() : 0);
}

/// The durations of `base`, but of `exact` where an op is of the class.
Durations with_exact(const ir::Schedule& schedule, const OpClasses& classes, std::size_t wanted, Durations base, const Durations& exact) {
  for (std::size_t r = 0; r < base.size(); ++r) {
    for (std::size_t i = 0; i < base[r].size(); ++i) {
      const Rank rank{static_cast<std::int32_t>(r)};
      if (class_of(schedule, classes, rank, ir::OpIndex{static_cast<std::int32_t>(i)}) == wanted) base[r][i] = exact[r][i];
    }
  }
  return base;
}

Seconds step_seconds(const ir::Trace& trace) {
  const TimeSpan step = step_of(trace);
  return to_seconds(step.end - step.start);
}

double step_error(const ir::Trace& trace, Seconds measured) { return measured > Seconds(0) ? step_seconds(trace) / measured - 1 : 0; }

}  // namespace

TraceValidation validate_trace(const ir::Schedule& schedule, const ir::Instances& instances, const ir::Trace& predicted, const ir::Trace& measured) {
  TraceValidation result;
  result.comparison = compare_traces(schedule, instances, predicted, measured);
  const OpClasses classes(schedule, instances);
  const ir::RankClasses ranks = ir::each_rank(schedule);
  const TimeAccount was = account_time(schedule, predicted, classes, ranks), is = account_time(schedule, measured, classes, ranks);
  const Durations predicted_durations = durations_of(predicted), measured_durations = durations_of(measured);
  const std::size_t computations = classes.computation().size();
  for (std::size_t c = 0; c < result.comparison.classes.size(); ++c) {
    ClassValidation one{result.comparison.classes[c], c >= computations, {}, {}, 0};
    one.predicted = one.communicates ? was.exposed[c - computations] : one.busy.predicted;
    one.measured = one.communicates ? is.exposed[c - computations] : one.busy.measured;
    const Durations exact = with_exact(schedule, classes, c, predicted_durations, measured_durations);
    one.remaining_error = step_error(replay(schedule, instances, exact), result.comparison.measured_step);
    result.classes.push_back(std::move(one));
  }
  result.predicted_idle = was.total.idle;
  result.measured_idle = is.total.idle;
  result.unexplained_error = step_error(replay(schedule, instances, measured_durations), result.comparison.measured_step);
  return result;
}

}  // namespace fabricast::validation
