#include "validation/residual_record.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>
#include <stdexcept>
#include <utility>

#include "validation/agreement.hpp"

namespace fabricast::validation {

namespace {

constexpr std::size_t least_rows = 30, most_regions = 6;
constexpr double aim = 0.8;                                    // share of unseen rows that an interval is to hold
constexpr int tail_steps = 20;                                 // shares cut off each end that are tried: 0.1 · i / 20

using SizeAndRatio = std::pair<double, double>;

/// Rows of like size.
struct Bin {
  double least, most;
  std::vector<double> ratios;   // ascending
};

/// Up to six, 30 rows or more in each where there are as many; rows of one size stay together.
std::vector<Bin> bins_of(std::vector<SizeAndRatio> rows) {
  if (rows.empty()) throw std::invalid_argument("regions need rows");
  std::sort(rows.begin(), rows.end());
  const std::size_t wanted = std::max(least_rows, (rows.size() + most_regions - 1) / most_regions);
  std::vector<Bin> bins;
  for (std::size_t begin = 0; begin < rows.size();) {
    std::size_t end = std::min(begin + wanted, rows.size());
    while (end < rows.size() && rows[end].first == rows[end - 1].first) ++end;
    if (rows.size() - end < least_rows) end = rows.size();
    Bin bin{rows[begin].first, rows[end - 1].first, {}};
    for (std::size_t i = begin; i < end; ++i) bin.ratios.push_back(rows[i].second);
    std::sort(bin.ratios.begin(), bin.ratios.end());
    bins.push_back(std::move(bin));
    begin = end;
  }
  return bins;
}

hw::CalibratedRegion region_of(const Bin& bin, double tail) {
  const std::size_t n = bin.ratios.size(), outside = static_cast<std::size_t>(static_cast<double>(n + 1) * tail + 1e-9);   // on each side
  const std::size_t low = outside > 0 ? outside - 1 : 0;
  return {bin.least, bin.most, static_cast<std::int64_t>(n), bin.ratios[low], bin.ratios[n - 1 - low]};
}

std::vector<hw::CalibratedRegion> regions_of(const std::vector<Bin>& bins, double tail) {
  std::vector<hw::CalibratedRegion> regions;
  for (const Bin& bin : bins) regions.push_back(region_of(bin, tail));
  return regions;
}

/// Rows of one fold, and what the other folds say of them.
struct Trial {
  std::vector<const HeldOutRow*> tried;
  std::vector<Bin> others;
};

std::size_t held(const Trial& trial, double tail) {
  const std::vector<hw::CalibratedRegion> regions = regions_of(trial.others, tail);
  return static_cast<std::size_t>(std::count_if(trial.tried.begin(), trial.tried.end(), [&](const HeldOutRow* row) {
    const hw::CalibratedRegion& region = nearest_region(regions, row->size);
    return row->ratio >= region.low && row->ratio <= region.high;
  }));
}

std::set<int> folds_of(const std::vector<HeldOutRow>& rows) {
  std::set<int> folds;
  for (const HeldOutRow& row : rows) folds.insert(row.fold);
  return folds;
}

/// One for each fold but `left_out`, of which nothing is seen.
std::vector<Trial> trials_of(const std::vector<HeldOutRow>& rows, std::optional<int> left_out) {
  std::vector<Trial> trials;
  for (const int fold : folds_of(rows)) {
    if (fold == left_out) continue;
    Trial trial;
    std::vector<SizeAndRatio> others;
    for (const HeldOutRow& row : rows) {
      if (row.fold == fold) trial.tried.push_back(&row);
      else if (row.fold != left_out) others.emplace_back(row.size, row.ratio);
    }
    if (others.empty()) continue;
    trial.others = bins_of(std::move(others));
    trials.push_back(std::move(trial));
  }
  return trials;
}

/// Families differ more than rows of one family do, so the tenth and the ninetieth percentile of some families hold fewer than four in five
/// rows of others: the share of each end that brings it nearest to that, at most a tenth. Two trials or more tell, else a tenth.
double tail_of(const std::vector<Trial>& trials) {
  constexpr double tenth = (1 - aim) / 2;
  if (trials.size() < 2) return tenth;
  double rows = 0;
  for (const Trial& trial : trials) rows += static_cast<double>(trial.tried.size());
  double best = tenth, nearest = 1;
  for (int i = tail_steps; i >= 0; --i) {
    const double tail = tenth * i / tail_steps;
    double inside = 0;
    for (const Trial& trial : trials) inside += static_cast<double>(held(trial, tail));
    const double distance = std::abs(inside / rows - aim);
    if (distance < nearest) best = tail, nearest = distance;
  }
  return best;
}

/// Share of the rows that intervals hold to which their fold contributed nothing, not even the tail.
double coverage_of(const std::vector<HeldOutRow>& rows) {
  std::size_t inside = 0, tried = 0;
  for (const int fold : folds_of(rows)) {
    Trial trial;
    std::vector<SizeAndRatio> others;
    for (const HeldOutRow& row : rows) {
      if (row.fold == fold) trial.tried.push_back(&row);
      else others.emplace_back(row.size, row.ratio);
    }
    if (others.empty()) continue;
    trial.others = bins_of(std::move(others));
    tried += trial.tried.size();
    inside += held(trial, tail_of(trials_of(rows, fold)));
  }
  return tried == 0 ? 0 : static_cast<double>(inside) / static_cast<double>(tried);
}

std::map<std::string, std::pair<double, double>> domain_of(const std::vector<HeldOutRow>& rows) {
  std::map<std::string, std::pair<double, double>> domain;
  for (const HeldOutRow& row : rows) {
    for (const auto& [name, value] : row.dimensions) {
      auto& range = domain.try_emplace(name, value, value).first->second;
      range = {std::min(range.first, value), std::max(range.second, value)};
    }
  }
  return domain;
}

}  // namespace

std::vector<hw::CalibratedRegion> regions_of(std::vector<std::pair<double, double>> rows, double tail) {
  return regions_of(bins_of(std::move(rows)), tail);
}

const hw::CalibratedRegion& nearest_region(const std::vector<hw::CalibratedRegion>& regions, double size) {
  const auto distance = [size](const hw::CalibratedRegion& region) {
    return size < region.least ? region.least / std::max(size, 1.0) : size > region.most ? size / std::max(region.most, 1.0) : 1.0;
  };
  return *std::min_element(regions.begin(), regions.end(),
                           [&](const hw::CalibratedRegion& a, const hw::CalibratedRegion& b) { return distance(a) < distance(b); });
}

hw::CalibratedKind record_of(const std::string& kind, const std::vector<HeldOutRow>& rows, bool held_out) {
  if (rows.empty()) throw std::invalid_argument("a record needs rows");
  hw::CalibratedKind record;
  record.kind = kind;
  record.count = static_cast<std::int64_t>(rows.size());
  record.held_out = held_out;
  std::set<std::string> families;
  std::vector<double> errors, sizes;
  std::vector<SizeAndRatio> size_and_ratio;
  for (const HeldOutRow& row : rows) {
    families.insert(row.family);
    errors.push_back(1.0 / row.ratio - 1.0);
    sizes.push_back(std::abs(errors.back()));
    size_and_ratio.emplace_back(row.size, row.ratio);
  }
  record.families = static_cast<std::int64_t>(families.size());
  record.median_error = quantile(sizes, 0.5);
  record.p90_error = quantile(sizes, 0.9);
  record.worst_error = *std::max_element(sizes.begin(), sizes.end());
  record.bias = quantile(errors, 0.5);
  record.coverage = coverage_of(rows);
  record.domain = domain_of(rows);
  record.regions = regions_of(std::move(size_and_ratio), tail_of(trials_of(rows, std::nullopt)));
  return record;
}

}  // namespace fabricast::validation
