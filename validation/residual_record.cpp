#include "validation/residual_record.hpp"

#include <algorithm>
#include <cmath>
#include <set>
#include <stdexcept>

#include "validation/agreement.hpp"

namespace fabricast::validation {

namespace {

constexpr std::size_t least_rows = 30, most_regions = 6;

hw::CalibratedRegion region_of(const std::vector<std::pair<double, double>>& rows, std::size_t begin, std::size_t end) {
  std::vector<double> ratios;
  for (std::size_t i = begin; i < end; ++i) ratios.push_back(rows[i].second);
  std::sort(ratios.begin(), ratios.end());
  const std::size_t n = ratios.size(), outside = (n + 1) / 10;   // on each side
  const std::size_t low = outside > 0 ? outside - 1 : 0;
  return {rows[begin].first, rows[end - 1].first, static_cast<std::int64_t>(n), ratios[low], ratios[n - 1 - low]};
}

double coverage_of(const std::vector<HeldOutRow>& rows) {
  std::set<int> folds;
  for (const HeldOutRow& row : rows) folds.insert(row.fold);
  std::size_t inside = 0, tried = 0;
  for (const int fold : folds) {
    std::vector<std::pair<double, double>> others;
    for (const HeldOutRow& row : rows) {
      if (row.fold != fold) others.emplace_back(row.size, row.ratio);
    }
    if (others.empty()) continue;
    const std::vector<hw::CalibratedRegion> regions = regions_of(std::move(others));
    for (const HeldOutRow& row : rows) {
      if (row.fold != fold) continue;
      const hw::CalibratedRegion& region = nearest_region(regions, row.size);
      ++tried;
      inside += row.ratio >= region.low && row.ratio <= region.high ? 1 : 0;
    }
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

std::vector<hw::CalibratedRegion> regions_of(std::vector<std::pair<double, double>> rows) {
  if (rows.empty()) throw std::invalid_argument("regions need rows");
  std::sort(rows.begin(), rows.end());
  const std::size_t aim = std::max(least_rows, (rows.size() + most_regions - 1) / most_regions);
  std::vector<hw::CalibratedRegion> regions;
  for (std::size_t begin = 0; begin < rows.size();) {
    std::size_t end = std::min(begin + aim, rows.size());
    while (end < rows.size() && rows[end].first == rows[end - 1].first) ++end;   // rows of one size stay together
    if (rows.size() - end < least_rows) end = rows.size();
    regions.push_back(region_of(rows, begin, end));
    begin = end;
  }
  return regions;
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
  std::vector<std::pair<double, double>> size_and_ratio;
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
  record.regions = regions_of(std::move(size_and_ratio));
  return record;
}

}  // namespace fabricast::validation
