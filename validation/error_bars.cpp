#include "validation/error_bars.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "strategies/ir/resolve.hpp"
#include "validation/kernel_facts.hpp"
#include "validation/measurements.hpp"
#include "validation/residual_record.hpp"

namespace fabricast::validation {

namespace {

/// Kinds of records that speak for a kernel, the best first.
std::vector<std::string> stand_ins(const hw::Kernel& kernel) {
  const std::string kind = kind_of(kernel);
  const std::size_t blank = kind.rfind(' ');
  const std::string name = kind.substr(0, blank), precision = kind.substr(blank + 1);
  std::vector<std::string> precisions{precision};
  if (precision == "bf16") precisions.emplace_back("fp16");
  if (precision == "fp16") precisions.emplace_back("bf16");
  if (precision == "fp8") precisions.emplace_back("fp8 blockwise");
  const bool in_moe_layer = name == "grouped_gemm" || name == "permute" || name == "weighted_sum";
  std::vector<std::string> kinds;
  for (const std::string& p : precisions) kinds.push_back(name + ' ' + p);
  if (!in_moe_layer) return kinds;
  for (const std::string& p : precisions) kinds.push_back("moe layer " + p + " balanced");
  return kinds;
}

const hw::CalibratedKind* find(const hw::CalibrationRecord& record, const std::string& kind) {
  const auto found = std::find_if(record.kinds.begin(), record.kinds.end(), [&](const hw::CalibratedKind& k) { return k.kind == kind; });
  return found == record.kinds.end() ? nullptr : &*found;
}

RatioInterval interval_of(const hw::CalibratedKind& kind, double size, const std::map<std::string, double>& dimensions) {
  const hw::CalibratedRegion& region = nearest_region(kind.regions, size);
  RatioInterval interval{region.low, region.high, kind.kind, {}, {}};
  if (kind.held_out) interval.coverage = kind.coverage;
  if (kind.measured_on) interval.outside.push_back("measured on " + *kind.measured_on);
  for (const auto& [name, value] : dimensions) {
    const auto range = kind.domain.find(name);
    if (range == kind.domain.end()) continue;
    if (value < range->second.first) interval.outside.push_back(fmt::format("{} = {:.0f}, fitted from {:.0f}", name, value, range->second.first));
    if (value > range->second.second) interval.outside.push_back(fmt::format("{} = {:.0f}, fitted up to {:.0f}", name, value, range->second.second));
  }
  return interval;
}

/// The mean of several intervals by the time that each stands for.
class WeightedInterval {
 public:
  void add(const std::optional<RatioInterval>& interval, double weight) {
    all_ += weight;
    if (!interval) return;
    known_ += weight;
    low_ += weight * interval->low;
    high_ += weight * interval->high;
    kinds_.insert(interval->calibrated_as);
    outside_.insert(interval->outside.begin(), interval->outside.end());
    if (!interval->coverage) held_out_ = false;
    coverage_ = std::min(coverage_, interval->coverage.value_or(coverage_));
  }
  /// Nothing where the ratio of an op is unknown.
  [[nodiscard]] std::optional<RatioInterval> mean() const {
    if (known_ <= 0 || known_ < all_) return std::nullopt;
    return RatioInterval{low_ / known_, high_ / known_, *kinds_.begin(), {outside_.begin(), outside_.end()},
                         held_out_ ? std::optional(coverage_) : std::nullopt};
  }

 private:
  double all_ = 0, known_ = 0, low_ = 0, high_ = 0, coverage_ = 1;   // the least of its ops'
  bool held_out_ = true;
  std::set<std::string> kinds_, outside_;
};

/// By computation class.
std::vector<WeightedInterval> intervals_of(const ir::Schedule& schedule, const ir::Trace& trace, const OpClasses& classes,
                                           const hw::CalibrationRecord& record) {
  std::vector<WeightedInterval> intervals(classes.computation().size());
  std::map<std::size_t, std::pair<Rank, double>> programs;   // first rank, and how many run it
  for (std::size_t r = 0; r < schedule.ranks.size(); ++r) {
    programs.try_emplace(schedule.ranks[r].program.index(), Rank{static_cast<std::int32_t>(r)}, 0.0).first->second.second += 1;
  }
  for (const auto& [program, ran_by] : programs) {
    const auto& [rank, ranks] = ran_by;
    const std::vector<ir::Op>& ops = schedule.programs[program].ops;
    for (std::size_t i = 0; i < ops.size(); ++i) {
      const ir::OpIndex op{static_cast<std::int32_t>(i)};
      const auto kernel = ir::resolve_kernel(ops[i].work, schedule, rank);
      if (!kernel) continue;
      const Seconds time = to_seconds(trace.at(rank, op).end - trace.at(rank, op).start);
      intervals[classes.of(rank, op)].add(ratio_interval(record, *kernel), ranks * time.value());
    }
  }
  return intervals;
}

std::optional<ErrorBar> bar_of(const std::optional<RatioInterval>& ratio, Seconds time) {
  if (!ratio) return std::nullopt;
  return ErrorBar{time * ratio->low, time * ratio->high, ratio->calibrated_as, ratio->outside, ratio->coverage};
}

std::optional<RatioInterval> ratio_of(const CollectiveSummary& collective, const hw::ClusterSpec& cluster) {
  const hw::CollectiveSpec& library = cluster.collectives;
  auto ratio = ratio_interval(library.calibration, collective.kind, collective.bytes / std::max(collective.count, 1.0), collective.members);
  const BytesPerSecond nvlink = cluster.node.nvlink_bandwidth;
  if (ratio && library.kernels && nvlink != library.kernels->nvlink) {
    ratio->outside.push_back("NVLink of " + show(nvlink) + ", measured at " + show(library.kernels->nvlink));
  }
  return ratio;
}

}  // namespace

std::optional<RatioInterval> ratio_interval(const hw::CalibrationRecord& record, const hw::Kernel& kernel) {
  for (const std::string& kind : stand_ins(kernel)) {
    if (const hw::CalibratedKind* found = find(record, kind)) return interval_of(*found, rows_of(kernel), dimensions_of(kernel));
  }
  return std::nullopt;
}

std::optional<RatioInterval> ratio_interval(const hw::CalibrationRecord& record, const std::string& kind, double bytes, double members) {
  const hw::CalibratedKind* found = find(record, kind);
  if (found == nullptr) return std::nullopt;
  return interval_of(*found, bytes, {{"bytes", bytes}, {"members", members}});
}

StepErrorBar step_error_bar(Seconds step, const std::vector<PathShare>& path) {
  struct Sum { Seconds shift, half; };
  std::map<std::string, Sum> by_kind;
  Seconds all, known;
  StepErrorBar bar{};
  for (const PathShare& share : path) {
    all += share.time;
    if (!share.ratio) {
      bar.unknown.push_back(share.label);
      continue;
    }
    known += share.time;
    Sum& sum = by_kind[share.ratio->calibrated_as];
    sum.shift += share.time * ((share.ratio->low + share.ratio->high) / 2 - 1);
    sum.half += share.time * ((share.ratio->high - share.ratio->low) / 2);
    if (!share.ratio->outside.empty()) bar.extrapolated.push_back(share.label);
  }
  Seconds shift;
  double squares = 0;
  for (const auto& [kind, sum] : by_kind) {
    shift += sum.shift;
    squares += sum.half.value() * sum.half.value();
  }
  const Seconds half(std::sqrt(squares));
  bar.low = std::max(Seconds(0), step + shift - half);
  bar.high = step + shift + half;
  bar.known_share = share_of(known, all);
  return bar;
}

void fill_error_bars(Report& report, const ir::Schedule& schedule, const ir::Trace& trace, const OpClasses& classes,
                     const hw::ClusterSpec& cluster) {
  if (cluster.gpu.calibration.kinds.empty() && cluster.collectives.calibration.kinds.empty()) return;
  std::map<std::pair<std::string, std::string>, std::optional<RatioInterval>> ratios;
  const std::vector<WeightedInterval> intervals = intervals_of(schedule, trace, classes, cluster.gpu.calibration);
  for (std::size_t c = 0; c < report.ops.size(); ++c) {
    OpSummary& op = report.ops[c];
    const auto& ratio = ratios[{op.label, op.kind}] = intervals[c].mean();
    op.error_bar = bar_of(ratio, op.busy);
  }
  for (CollectiveSummary& collective : report.collectives) {
    const auto& ratio = ratios[{collective.label, collective.kind}] = ratio_of(collective, cluster);
    collective.error_bar = bar_of(ratio, collective.busy);
  }
  std::vector<PathShare> path;
  for (const CriticalPathSummary::Class& one : report.critical_path.classes) path.push_back({one.label, one.time, ratios[{one.label, one.kind}]});
  report.error_bar = step_error_bar(report.step, path);
}

}  // namespace fabricast::validation
