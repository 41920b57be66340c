#include "validation/trace_comparison.hpp"

#include <cmath>
#include <cstdlib>
#include <stdexcept>

#include "validation/op_classes.hpp"
#include "validation/report_parts.hpp"

namespace fabricast::validation {

namespace {

struct Sums {
  SimTime predicted, measured, difference;   // difference: Σ |predicted - measured|

  void add(SimTime p, SimTime m) {
    predicted += p;
    measured += m;
    difference += SimTime(std::abs((p - m).value()));
  }
};

/// Relative to the measurement; where that is 0, 0 if there is nothing to differ from, else all of it.
double relative(SimTime part, SimTime measured) {
  if (part == SimTime(0)) return 0;
  return measured == SimTime(0) ? 1 : static_cast<double>(part.value()) / static_cast<double>(measured.value());
}

void check_shape(const ir::Schedule& schedule, const ir::Trace& trace) {
  bool complete = trace.ops.size() == schedule.ranks.size();
  for (std::size_t r = 0; complete && r < trace.ops.size(); ++r) {
    complete = trace.ops[r].size() == schedule.program_of(Rank{static_cast<std::int32_t>(r)}).ops.size();
  }
  if (!complete) throw std::invalid_argument("the trace is not one of this schedule: it has other ranks or ops");
}

ClassComparison compared(const OpClass& op_class, const Sums& sums, std::size_t ranks) {
  const auto n = static_cast<double>(ranks);
  return {op_class.label,
          op_class.kind,
          to_seconds(sums.predicted) / n,
          to_seconds(sums.measured) / n,
          relative(sums.predicted - sums.measured, sums.measured),
          relative(sums.difference, sums.measured)};
}

SimTime length(TimeSpan span) { return span.end - span.start; }

}  // namespace

TraceComparison compare_traces(const ir::Schedule& schedule, const ir::Instances& instances, const ir::Trace& predicted,
                               const ir::Trace& measured) {
  check_shape(schedule, predicted);
  check_shape(schedule, measured);
  const OpClasses classes(schedule, instances);
  std::vector<Sums> computation(classes.computation().size()), communication(classes.communication().size());
  Sums all;
  for (std::size_t r = 0; r < schedule.ranks.size(); ++r) {
    const Rank rank{static_cast<std::int32_t>(r)};
    const auto& ops = schedule.program_of(rank).ops;
    for (std::size_t i = 0; i < ops.size(); ++i) {
      const ir::OpIndex op{static_cast<std::int32_t>(i)};
      const ir::OpInterval &p = predicted.at(rank, op), &m = measured.at(rank, op);
      auto& table = ir::communicates(ops[i].work) ? communication : computation;
      table[classes.of(rank, op)].add(p.end - p.start, m.end - m.start);
      all.add(p.end - p.start, m.end - m.start);
    }
  }
  TraceComparison result;
  const SimTime predicted_step = length(step_of(predicted)), measured_step = length(step_of(measured));
  result.predicted_step = to_seconds(predicted_step);
  result.measured_step = to_seconds(measured_step);
  result.step_error = relative(predicted_step - measured_step, measured_step);
  result.op_error = relative(all.difference, all.measured);
  const std::size_t ranks = schedule.ranks.size();
  for (std::size_t c = 0; c < computation.size(); ++c) result.classes.push_back(compared(classes.computation()[c], computation[c], ranks));
  for (std::size_t c = 0; c < communication.size(); ++c) {
    result.classes.push_back(compared(classes.communication()[c], communication[c], ranks));
  }
  return result;
}

}  // namespace fabricast::validation
