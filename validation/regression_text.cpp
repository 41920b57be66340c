#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "validation/json_writer.hpp"
#include "validation/regression.hpp"

namespace fabricast::validation {

namespace {

constexpr std::size_t classes_shown = 8;

std::string with_sign(Seconds time) {
  return time == Seconds(0) ? "0 s" : fmt::format("{}{}", time > Seconds(0) ? '+' : '-', show(Seconds(std::abs(time.value()))));
}

std::string change(const MetricChange& one) {
  if (!one.moved) return "none";
  if (one.metric.value == 0) return fmt::format("{:+.4g}", one.now);
  return fmt::format("{:+.2f} %", 100 * (one.now / one.metric.value - 1));
}

std::string allowed(const BaselineMetric& metric) {
  const char* sign = metric.side == Side::lower ? "-" : metric.side == Side::upper ? "+" : "+-";
  return metric.relative ? fmt::format("{}{:.4g} %", sign, 100 * metric.tolerance) : fmt::format("{}{:.4g}", sign, metric.tolerance);
}

std::string value(double number) {
  return std::abs(number) >= 1e4 && std::abs(number) < 1e15 ? show_count(number) : fmt::format("{:.5g}", number);
}

std::string word(const ExperimentCheck& check, const MetricChange& one) {
  return !check.held ? "new" : one.regressed ? "REGRESSED" : one.moved ? "moved" : "same";
}

/// "expert_gate_up (computation) +12.3 ms of +15.1 ms".
std::string movers(const ExperimentCheck& check) {
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < std::min(classes_shown, check.classes.size()); ++i) {
    const ClassChange& one = check.classes[i];
    parts.push_back(fmt::format("{} ({}) {}", one.name, one.kind, with_sign(one.now - one.before)));
  }
  if (check.classes.size() > classes_shown) parts.push_back(fmt::format("{} more", check.classes.size() - classes_shown));
  return fmt::format("step {}: {}", with_sign(check.step_change), fmt::join(parts, ", "));
}

std::string verdict(const Regression& regression) {
  std::size_t metrics = 0, bad = 0, moved = 0;
  for (const ExperimentCheck& check : regression.experiments) {
    for (const MetricChange& one : check.metrics) {
      metrics += 1;
      bad += one.regressed;
      moved += one.moved && check.held;
    }
  }
  return fmt::format("{} of {} metrics regressed against {}, {} moved", bad, metrics, regression.against, moved);
}

std::string xml(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;  // XML 1.0 has no other control characters
    }
  }
  return out;
}

std::string test_case(const ExperimentCheck& check, const MetricChange& one) {
  const std::string open = fmt::format("    <testcase classname=\"{}\" name=\"{}\"", xml(check.name), xml(one.metric.path));
  if (!one.regressed) return open + "/>\n";
  return fmt::format(
      "{}>\n      <failure message=\"{}\">{}</failure>\n    </testcase>\n", open,
      xml(fmt::format("{} instead of {} ({}, allowed {})", value(one.now), value(one.metric.value), change(one), allowed(one.metric))),
      xml(check.classes.empty() ? "" : movers(check)));
}

void write_metric(JsonWriter& json, const MetricChange& one) {
  json.open_object();
  json.field("metric", one.metric.path);
  json.field("before", one.metric.value);
  json.field("now", one.now);
  json.field(one.metric.relative ? "relative" : "absolute", one.metric.tolerance);
  json.field("side", name_of(one.metric.side));
  json.field("moved", one.moved);
  json.field("regressed", one.regressed);
  json.close();
}

void write_check(JsonWriter& json, const ExperimentCheck& check) {
  json.open_object();
  json.field("name", check.name);
  json.field("experiment", check.experiment);
  json.field("new", !check.held);
  json.open_array("metrics");
  for (const MetricChange& one : check.metrics) write_metric(json, one);
  json.close();
  json.field("step_change_seconds", check.step_change.value());
  json.open_array("moved");
  for (const ClassChange& one : check.classes) {
    json.open_object();
    json.field("label", one.name);
    json.field("kind", one.kind);
    json.field("before_seconds", one.before.value());
    json.field("now_seconds", one.now.value());
    json.close();
  }
  json.close();
  json.close();
}

}  // namespace

std::string summary(const Regression& regression, TextStyle style) {
  Table table({{"experiment", Table::Align::left},
               {"metric", Table::Align::left},
               {"before"},
               {"now"},
               {"change"},
               {"allowed"},
               {"", Table::Align::left}});
  std::string moved;
  for (const ExperimentCheck& check : regression.experiments) {
    for (const MetricChange& one : check.metrics) {
      table.add({check.name, one.metric.path, value(one.metric.value), value(one.now), change(one), allowed(one.metric), word(check, one)});
    }
    if (!check.classes.empty()) moved += wrap(check.name + ": " + movers(check), 2);
  }
  std::string out = style.strong(verdict(regression)) + "\n" + table.text();
  if (!moved.empty()) out += style.strong("What moved it") + " (mean over ranks)\n" + moved;
  return out;
}

std::string to_markdown(const Regression& regression) {
  std::string out = fmt::format(
      "### Predicted performance: {}\n\n| experiment | metric | before | now | change | allowed | |\n"
      "|---|---|---:|---:|---:|---:|---|\n",
      verdict(regression));
  std::string moved;
  for (const ExperimentCheck& check : regression.experiments) {
    for (const MetricChange& one : check.metrics) {
      out += fmt::format("| {} | {} | {} | {} | {} | {} | {} |\n", check.name, one.metric.path, value(one.metric.value), value(one.now),
                         change(one), allowed(one.metric), one.regressed ? "**REGRESSED**" : word(check, one));
    }
    if (!check.classes.empty()) moved += fmt::format("- `{}` {}\n", check.name, movers(check));
  }
  return moved.empty() ? out : out + "\nWhat moved it (mean over ranks):\n\n" + moved;
}

std::string to_junit(const Regression& regression) {
  std::string suites;
  std::size_t tests = 0, failures = 0;
  for (const ExperimentCheck& check : regression.experiments) {
    std::string cases;
    std::size_t failed = 0;
    for (const MetricChange& one : check.metrics) {
      cases += test_case(check, one);
      failed += one.regressed;
    }
    suites += fmt::format("  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\">\n{}  </testsuite>\n", xml(check.name),
                          check.metrics.size(), failed, cases);
    tests += check.metrics.size();
    failures += failed;
  }
  return fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"fabricast check\" tests=\"{}\" failures=\"{}\">\n{}</testsuites>\n",
      tests, failures, suites);
}

std::string to_json(const Regression& regression) {
  JsonWriter json;
  json.open_object();
  json.field("schema", "fabricast.check/1");
  json.field("against", regression.against);
  json.field("regressed", regression.regressed());
  json.open_array("experiments");
  for (const ExperimentCheck& check : regression.experiments) write_check(json, check);
  json.close();
  json.close();
  return std::move(json).text();
}

}  // namespace fabricast::validation
