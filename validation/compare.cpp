#include "validation/compare.hpp"

#include <algorithm>

namespace fabricast::validation {

namespace {

bool better(const Report& a, const Report& b) {
  if (a.memory.fits != b.memory.fits) return a.memory.fits;
  return a.tokens_per_second > b.tokens_per_second;
}

/// Rows of a table that grows a column per report.
class ClassTable {
 public:
  explicit ClassTable(std::size_t reports) : reports_(reports) {}

  void add(const std::string& name, const std::string& kind, std::size_t report, Seconds time) {
    auto found = std::find_if(rows_.begin(), rows_.end(), [&](const TimeClass& row) { return row.name == name && row.kind == kind; });
    if (found == rows_.end()) found = rows_.insert(rows_.end(), TimeClass{name, kind, std::vector<Seconds>(reports_)});
    found->time[report] += time;
  }

  [[nodiscard]] std::vector<TimeClass> rows() && { return std::move(rows_); }

 private:
  std::size_t reports_;
  std::vector<TimeClass> rows_;
};

}  // namespace

std::optional<std::size_t> best_point(const std::vector<SweepPoint>& points) {
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (points[i].report && (!best || better(*points[i].report, *points[*best].report))) best = i;
  }
  return best;
}

std::vector<double> speedups(const Comparison& comparison) {
  std::vector<double> result;
  const double baseline = comparison.reports.front().tokens_per_second;
  for (const Report& report : comparison.reports) result.push_back(baseline > 0 ? report.tokens_per_second / baseline : 1.0);
  return result;
}

std::vector<TimeClass> time_by_class(const std::vector<Report>& reports) {
  ClassTable table(reports.size());
  for (std::size_t r = 0; r < reports.size(); ++r) {
    for (const OpSummary& op : reports[r].ops) table.add(op.label, "computation", r, op.busy);
  }
  for (std::size_t r = 0; r < reports.size(); ++r) {
    for (const CollectiveSummary& collective : reports[r].collectives) {
      table.add(collective.label, "exposed communication", r, collective.exposed);
    }
  }
  for (std::size_t r = 0; r < reports.size(); ++r) {
    table.add("waiting for a peer", "idle", r, reports[r].time.waiting);
    table.add("idle otherwise", "idle", r, reports[r].time.idle - reports[r].time.waiting);
  }
  return std::move(table).rows();
}

}  // namespace fabricast::validation
