#include "validation/calibrate_collectives.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <utility>

#include "hardware_models/config_error.hpp"
#include "validation/collective_bench.hpp"
#include "validation/least_squares.hpp"
#include "validation/lone_collective.hpp"
#include "validation/measured_group.hpp"
#include "validation/residual_record.hpp"

namespace fabricast::validation {

namespace {

constexpr Bytes least_size(4096);
constexpr std::size_t most_collectives = 2500;          // more rows are thinned out evenly
constexpr std::size_t rows_per_collective_constant = 4; // fewer rows fit fewer constants
constexpr std::size_t most_left_out = 5, most_rows_kicked = 500;

using RowIndices = std::vector<std::size_t>;

/// Rows, and how each is priced.
struct LibraryData {
  hw::ClusterSpec cluster;
  std::string system;
  std::vector<CollectiveMeasurement> rows;
  std::vector<LoneCollective> lone;                     // by row
};

std::vector<CollectiveMeasurement> usable(const std::vector<CollectiveMeasurement>& all) {
  std::vector<CollectiveMeasurement> large, result;
  std::copy_if(all.begin(), all.end(), std::back_inserter(large), [](const CollectiveMeasurement& row) { return row.bytes >= least_size; });
  if (large.empty()) throw hw::ConfigError("the inputs hold no collective of 4 KiB or more that a library's profile could be fitted to");
  const std::size_t stride = (large.size() + most_collectives - 1) / most_collectives;
  for (std::size_t i = 0; i < large.size(); i += stride) result.push_back(large[i]);
  return result;
}

LibraryData data_of(const hw::ClusterSpec& cluster, const Measurements& measurements) {
  LibraryData data{cluster, measurements.system, usable(measurements.collectives), {}};
  const hw::Topology topology(cluster);
  for (const CollectiveMeasurement& row : data.rows) {
    data.lone.emplace_back(row, topology, cluster.node.in_switch_reduction, cluster.fabric.in_network_reduction);
  }
  return data;
}

/// A slip of the unit shows in all rows of a kind at once; single wild rows are for the robust fit.
void check_collective_units(const LibraryData& data) {
  const hw::CollectiveModel model(data.cluster.collectives);
  std::map<hw::CollectiveKind, std::vector<double>> ratios;
  std::map<hw::CollectiveKind, Place> first;
  for (std::size_t i = 0; i < data.rows.size(); ++i) {
    ratios[data.rows[i].kind].push_back(data.rows[i].seconds / data.lone[i].time(model));
    first.try_emplace(data.rows[i].kind, data.rows[i].place);
  }
  for (const auto& [kind, values] : ratios) {
    const double ratio = quantile(values, 0.5);
    if (ratio <= 100.0 && ratio >= 0.01) continue;
    throw hw::ConfigError(fmt::format("{}:{}: {}: in the median {:.2g} times what {} predicts; wrong unit, or wrong --cluster?", first[kind].file,
                                      first[kind].line, hw::name_of(kind), ratio, data.cluster.name));
  }
}

/// One set of constants and rows, fitted from where one likes.
class LibraryProblem {
 public:
  LibraryProblem(const LibraryData& data, const std::vector<CollectiveParameter>& parameters, const RowIndices& rows)
      : data_(data), parameters_(parameters), rows_(rows) {}

  [[nodiscard]] FitResult fit_from(const std::vector<double>& start) const {
    std::vector<FitParameter> bounded;
    for (std::size_t i = 0; i < start.size(); ++i) {
      const CollectiveParameter& p = parameters_[i];
      bounded.push_back({std::clamp(start[i], p.least, p.most), p.least, p.most, p.step});
    }
    return robust_least_squares(bounded, rows_.size(), [this](const std::vector<double>& values, std::vector<double>& residuals) { price(values, residuals); });
  }
  /// Mean |log(predicted / measured)|.
  [[nodiscard]] double error_of(const FitResult& fit) const {
    std::vector<double> residuals(rows_.size());
    price(fit.values, residuals);
    double sum = 0;
    for (const double r : residuals) sum += std::abs(r);
    return sum / static_cast<double>(rows_.size());
  }

 private:
  void price(const std::vector<double>& values, std::vector<double>& residuals) const {
    hw::CollectiveSpec spec = data_.cluster.collectives;
    for (std::size_t i = 0; i < parameters_.size(); ++i) parameters_[i].set(spec, values[i]);
    const hw::CollectiveModel model(std::move(spec));
    for (std::size_t i = 0; i < rows_.size(); ++i) residuals[i] = std::log(data_.lone[rows_[i]].time(model) / data_.rows[rows_[i]].seconds);
  }

  const LibraryData& data_;
  const std::vector<CollectiveParameter>& parameters_;
  const RowIndices& rows_;
};

/// The best of several descents.
class BestFit {
 public:
  explicit BestFit(const LibraryProblem& problem) : problem_(problem) {}

  void try_from(const std::vector<double>& start) {
    FitResult fit = problem_.fit_from(start);
    const double error = problem_.error_of(fit);
    if (error >= least_) return;
    least_ = error;
    best_ = std::move(fit);
  }
  [[nodiscard]] const FitResult& get() const { return best_; }

 private:
  const LibraryProblem& problem_;
  FitResult best_;
  double least_ = std::numeric_limits<double>::infinity();
};

/// Where the tuner changes protocol the loss has kinks, at which a descent stops: a thorough search also kicks the best fit's constants one
/// by one, and starts again.
enum class Search : std::uint8_t { quick, thorough };

FitResult search(const LibraryData& data, const std::vector<CollectiveParameter>& parameters, const RowIndices& rows, Search how) {
  const LibraryProblem problem(data, parameters, rows);
  std::vector<double> base, typical;
  for (const CollectiveParameter& p : parameters) {
    base.push_back(p.get(data.cluster.collectives));
    typical.push_back(p.typical);
  }
  BestFit best(problem);
  best.try_from(base);
  if (!data.cluster.collectives.kernels) return best.get();   // by kind, times are smooth in all constants
  best.try_from(typical);
  if (how == Search::quick || rows.size() > most_rows_kicked) return best.get();
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    for (const double kick : {0.5, 2.0}) {
      std::vector<double> start = best.get().values;
      start[i] = start[i] > parameters[i].least ? start[i] * kick : parameters[i].typical;
      best.try_from(start);
    }
  }
  return best.get();
}

bool says_something(const CollectiveParameter& parameter, double value, double error) {
  const bool at_top = parameter.form == CollectiveParameter::Form::share && value >= parameter.most;
  return !at_top && std::isfinite(error) && error <= std::max(std::abs(value), 100 * parameter.step);
}

struct LibraryFit {
  hw::CollectiveSpec spec;
  std::vector<FittedCollectiveConstant> constants;
};

/// Of one fit: the constants that its rows determine, and their values.
struct Kept {
  std::vector<CollectiveParameter> parameters;
  std::vector<double> values;
};

/// Puts the others among `constants`, as they were.
Kept keep_determined(const std::vector<CollectiveParameter>& parameters, const FitResult& fit, const hw::CollectiveSpec& base,
                     std::vector<FittedCollectiveConstant>& constants) {
  Kept kept;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    if (says_something(parameters[i], fit.values[i], fit.standard_errors[i])) {
      kept.parameters.push_back(parameters[i]);
      kept.values.push_back(fit.values[i]);
      continue;
    }
    const double before = parameters[i].get(base);
    constants.push_back({parameters[i], before, before, fit.standard_errors[i], false});
  }
  return kept;
}

/// Constants that the rows do not determine stay where they were, and the others are fitted again without them, until all are determined.
LibraryFit fit_library(const LibraryData& data, const RowIndices& rows, Search how) {
  const hw::CollectiveSpec& base = data.cluster.collectives;
  std::vector<CollectiveMeasurement> of_fit;
  for (const std::size_t row : rows) of_fit.push_back(data.rows[row]);
  std::vector<CollectiveParameter> parameters = collective_parameters(base, of_fit);
  parameters.resize(std::min(parameters.size(), std::max<std::size_t>(1, rows.size() / rows_per_collective_constant)));
  LibraryFit result{base, {}};
  FitResult fit = search(data, parameters, rows, how);
  while (true) {
    Kept kept = keep_determined(parameters, fit, base, result.constants);
    const bool all = kept.parameters.size() == parameters.size();
    parameters = std::move(kept.parameters);
    if (all || parameters.empty()) break;
    fit = LibraryProblem(data, parameters, rows).fit_from(kept.values);
  }
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    result.constants.push_back({parameters[i], parameters[i].get(base), fit.values[i], fit.standard_errors[i], true});
    parameters[i].set(result.spec, fit.values[i]);
  }
  return result;
}

std::string group_name(const CollectiveMeasurement& row) { return fmt::format("{} {}x{}", hw::name_of(row.kind), row.nodes, row.gpus_per_node); }

/// By row: rows of one fold are left out together.
struct Folds {
  LeftOut left_out;
  int count = 0;
  std::vector<int> of;
  std::vector<std::string> family;
};

Folds by_group(const LibraryData& data, const std::set<std::string>& groups) {
  Folds folds{LeftOut::groups, static_cast<int>(groups.size()), {}, {}};
  for (const CollectiveMeasurement& row : data.rows) {
    folds.of.push_back(static_cast<int>(std::distance(groups.begin(), groups.find(group_name(row)))));
    folds.family.push_back(group_name(row));
  }
  return folds;
}

/// Every fifth size of each group.
Folds by_size(const LibraryData& data) {
  std::map<std::string, std::set<Bytes>> sizes;
  for (const CollectiveMeasurement& row : data.rows) sizes[group_name(row)].insert(row.bytes);
  Folds folds{LeftOut::sizes, 0, {}, {}};
  for (const CollectiveMeasurement& row : data.rows) {
    const std::set<Bytes>& all = sizes[group_name(row)];
    folds.of.push_back(static_cast<int>(std::distance(all.begin(), all.find(row.bytes)) % static_cast<std::ptrdiff_t>(most_left_out)));
    folds.family.push_back(fmt::format("{} {} B", group_name(row), row.bytes.value()));
    folds.count = std::max(folds.count, folds.of.back() + 1);
  }
  return folds;
}

Folds folds_among(const LibraryData& data) {
  std::set<std::string> groups;
  for (const CollectiveMeasurement& row : data.rows) groups.insert(group_name(row));
  return data.cluster.collectives.kernels && groups.size() > 1 ? by_group(data, groups) : by_size(data);
}

/// As the simulator has it, contention of the collective's own transfers included.
Seconds simulated(const LibraryData& data, const hw::CollectiveSpec& spec, const CollectiveMeasurement& row) {
  hw::ClusterSpec cluster = data.cluster;
  cluster.collectives = spec;
  return time_collective(cluster, bench_of(row, hw::Topology(cluster)), row.bytes).time;
}

/// Each row predicted by a fit to the others; where one fold is all there is, by the fit to itself.
void judge_left_out(const LibraryData& data, const Folds& folds, CollectiveCalibration& result) {
  std::map<std::string, std::vector<HeldOutRow>> by_kind;
  for (int fold = 0; fold < folds.count; ++fold) {
    RowIndices others, left_out;
    for (std::size_t i = 0; i < data.rows.size(); ++i) (folds.of[i] == fold ? left_out : others).push_back(i);
    const hw::CollectiveSpec spec = others.empty() ? result.collectives : fit_library(data, others, Search::quick).spec;
    for (const std::size_t i : left_out) {
      const CollectiveMeasurement& row = data.rows[i];
      const Seconds time = simulated(data, spec, row);
      const std::string kind(hw::name_of(row.kind));
      result.held_out.push_back({data.system, kind, folds.family[i], row.seconds, time, row.place});
      const auto members = static_cast<double>(row.nodes * row.gpus_per_node);
      by_kind[kind].push_back({static_cast<double>(row.bytes.value()), row.seconds / time, fold, folds.family[i],
                               {{"bytes", static_cast<double>(row.bytes.value())}, {"members", members}, {"nodes", static_cast<double>(row.nodes)}}});
    }
  }
  hw::CalibrationRecord& record = result.collectives.calibration;
  record.kinds.clear();   // the constants that they judged have moved
  for (const auto& [kind, rows] : by_kind) {
    record.kinds.push_back(record_of(kind, rows, folds.count > 1));
  }
  std::sort(record.kinds.begin(), record.kinds.end(), [](const auto& a, const auto& b) { return a.kind < b.kind; });
}

}  // namespace

CollectiveCalibration calibrate_collectives(const hw::ClusterSpec& cluster, const Measurements& measurements) {
  const LibraryData data = data_of(cluster, measurements);
  check_collective_units(data);
  const Folds folds = folds_among(data);
  RowIndices all;
  for (std::size_t i = 0; i < data.rows.size(); ++i) all.push_back(i);
  LibraryFit fit = fit_library(data, all, Search::thorough);
  CollectiveCalibration result{std::move(fit.spec), std::move(fit.constants), data.rows.size(), folds.left_out, {}};
  judge_left_out(data, folds, result);
  return result;
}

}  // namespace fabricast::validation
