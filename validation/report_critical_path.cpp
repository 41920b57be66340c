#include <algorithm>

#include "validation/critical_path.hpp"
#include "validation/report_parts.hpp"

namespace fabricast::validation {

namespace {

struct ClassSum {
  std::size_t ops = 0;
  SimTime time;
};

void append(CriticalPathSummary& path, const std::vector<OpClass>& classes, const std::vector<ClassSum>& sums) {
  for (std::size_t c = 0; c < sums.size(); ++c) {
    if (sums[c].ops > 0) path.classes.push_back({classes[c].label, classes[c].kind, static_cast<std::int64_t>(sums[c].ops), to_seconds(sums[c].time)});
  }
}

}  // namespace

CriticalPathSummary summarize_critical_path(const ir::Schedule& schedule, const ir::Instances& instances, const ir::Trace& trace,
                                            const OpClasses& classes) {
  std::vector<ClassSum> computation(classes.computation().size()), communication(classes.communication().size());
  SimTime computing, communicating, waiting;
  for (const PathPiece& piece : critical_path(schedule, instances, trace)) {
    const SimTime time = piece.end - piece.start;
    if (!piece.op) {
      waiting += time;
      continue;
    }
    const bool communicates = ir::communicates(schedule.program_of(piece.rank).ops[piece.op->index()].work);
    (communicates ? communicating : computing) += time;
    ClassSum& sum = (communicates ? communication : computation)[classes.of(piece.rank, *piece.op)];
    sum.ops += 1;
    sum.time += time;
  }
  CriticalPathSummary path{to_seconds(computing), to_seconds(communicating), to_seconds(waiting), {}};
  append(path, classes.computation(), computation);
  append(path, classes.communication(), communication);
  return path;
}

}  // namespace fabricast::validation
