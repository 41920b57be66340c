#include "validation/regression.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "hardware_models/config_error.hpp"
#include "validation/document_values.hpp"

namespace fabricast::validation {

namespace {

constexpr double least_change = 1e-6;  // relative; baselines keep seven digits of times

bool differs(double a, double b) { return std::abs(a - b) > least_change * std::max(std::abs(a), std::abs(b)); }

bool regressed(const BaselineMetric& metric, double now) {
  const double allowed = metric.relative ? metric.tolerance * std::abs(metric.value) : metric.tolerance;
  const bool too_low = now<metric.value - allowed, too_high = now> metric.value + allowed;
  return (metric.side != Side::upper && too_low) || (metric.side != Side::lower && too_high);
}

double metric_of(const hw::JsonNode& report, const std::string& path, const std::string& name) {
  try {
    return number_at(report, path);
  } catch (const std::runtime_error& error) {
    throw hw::ConfigError(fmt::format("metric '{}' of {}: {}", path, name, error.what()));
  }
}

std::vector<ClassTime> times_of(const hw::JsonNode& report, const std::string& name) {
  try {
    return class_times(report);
  } catch (const std::runtime_error& error) {
    throw hw::ConfigError(fmt::format("report of {}: {}", name, error.what()));
  }
}

Seconds take(std::vector<ClassTime>& times, const ClassTime& wanted) {
  const auto found =
      std::find_if(times.begin(), times.end(), [&](const ClassTime& one) { return one.kind == wanted.kind && one.name == wanted.name; });
  if (found == times.end()) return Seconds(0);
  const Seconds time = found->time;
  times.erase(found);
  return time;
}

Seconds absolute(Seconds time) { return Seconds(std::abs(time.value())); }

/// Classes that are in one of the two only count from or to 0.
void fill_classes(ExperimentCheck& check, std::vector<ClassTime> before, const std::vector<ClassTime>& now) {
  Seconds step;
  for (const ClassTime& one : now) step += one.time;
  const auto add = [&](const ClassTime& one, Seconds was, Seconds is) {
    check.step_change += is - was;
    if (differs(was.value(), is.value()) && absolute(is - was) > step * least_change) check.classes.push_back({one.kind, one.name, was, is});
  };
  for (const ClassTime& one : now) add(one, take(before, one), one.time);
  for (const ClassTime& gone : before) add(gone, gone.time, Seconds(0));
  std::stable_sort(check.classes.begin(), check.classes.end(),
                   [](const ClassChange& a, const ClassChange& b) { return absolute(a.now - a.before) > absolute(b.now - b.before); });
}

}  // namespace

ExperimentCheck check_experiment(const BaselineEntry& entry, const std::string& name, const hw::JsonNode& now, const hw::JsonNode* before) {
  ExperimentCheck check;
  check.name = name;
  check.experiment = entry.experiment;
  for (BaselineMetric metric : entry.metrics) {
    if (before) metric.value = metric_of(*before, metric.path, name);
    const double value = metric_of(now, metric.path, name);
    check.metrics.push_back({metric, value, differs(metric.value, value), regressed(metric, value)});
  }
  const std::vector<ClassTime> was = before ? times_of(*before, name) : entry.times;
  if (!was.empty()) fill_classes(check, was, times_of(now, name));
  return check;
}

bool Regression::regressed() const {
  return std::any_of(experiments.begin(), experiments.end(), [](const ExperimentCheck& check) {
    return std::any_of(check.metrics.begin(), check.metrics.end(), [](const MetricChange& one) { return one.regressed; });
  });
}

}  // namespace fabricast::validation
