#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "validation/json_writer.hpp"
#include "validation/trace_validation.hpp"

namespace fabricast::validation {

namespace {

std::string percent(double error) { return fmt::format("{:+.1f} %", 100 * error); }

std::string difference(Seconds time) {
  return time == Seconds(0) ? "0 s" : fmt::format("{}{}", time > Seconds(0) ? '+' : '-', show(Seconds(std::abs(time.value()))));
}

Seconds contribution(const ClassValidation& one) { return one.predicted - one.measured; }

std::vector<ClassValidation> by_contribution(std::vector<ClassValidation> classes) {
  std::stable_sort(classes.begin(), classes.end(), [](const ClassValidation& a, const ClassValidation& b) {
    return std::abs(contribution(a).value()) > std::abs(contribution(b).value());
  });
  return classes;
}

void write_class(JsonWriter& json, const ClassValidation& one) {
  json.open_object();
  json.field("label", one.busy.label);
  json.field("kind", one.busy.kind);
  json.field("predicted_busy_seconds", one.busy.predicted.value());
  json.field("measured_busy_seconds", one.busy.measured.value());
  json.field("error", one.busy.error);
  json.field("op_error", one.busy.op_error);
  json.field("predicted_step_seconds", one.predicted.value());
  json.field("measured_step_seconds", one.measured.value());
  json.field("remaining_step_error", one.remaining_error);
  json.close();
}

}  // namespace

std::string summary(const TraceValidation& validation, TextStyle style) {
  const TraceComparison& whole = validation.comparison;
  std::string out = style.strong(fmt::format("{} against its measured step ({}): predicted {}, measured {}, error {}", validation.experiment,
                                             validation.backend, show(whole.predicted_step), show(whole.measured_step), percent(whole.step_error)));
  out += "\n\n" + style.strong("Where the error comes from") + " (per step, mean over ranks; communication where it is not hidden)\n";
  Table table({{"class", Table::Align::left}, {"kind", Table::Align::left}, {"predicted"}, {"measured"}, {"error"}, {"op by op"}, {"of the step"},
               {"left if exact"}});
  for (const ClassValidation& one : by_contribution(validation.classes)) {
    table.add({one.busy.label, one.busy.kind, show(one.busy.predicted), show(one.busy.measured), percent(one.busy.error),
               fmt::format("{:.1f} %", 100 * one.busy.op_error), difference(contribution(one)), percent(one.remaining_error)});
  }
  const Seconds idle = validation.predicted_idle - validation.measured_idle;
  table.add({"idle", "", show(validation.predicted_idle), show(validation.measured_idle), "", "", difference(idle)});
  table.add_rule();
  table.add({"step", "", show(whole.predicted_step), show(whole.measured_step), percent(whole.step_error), fmt::format("{:.1f} %", 100 * whole.op_error),
             difference(whole.predicted_step - whole.measured_step), percent(validation.unexplained_error)});
  return out + table.text() +
         wrap("error and op by op: of the time that the class is busy; the latter is the sum of absolute errors of single ops over the measured "
              "time, where errors do not cancel. left if exact: the step's error if the ops of this class took as long as measured and the "
              "others as predicted; in the last line all of them: what is left is host and launches between ops.", 2);
}

std::string to_json(const TraceValidation& validation) {
  const TraceComparison& whole = validation.comparison;
  JsonWriter json;
  json.open_object();
  json.field("schema", "fabricast.trace_validation/1");
  json.field("experiment", validation.experiment);
  json.field("backend", validation.backend);
  json.field("predicted_step_seconds", whole.predicted_step.value());
  json.field("measured_step_seconds", whole.measured_step.value());
  json.field("step_error", whole.step_error);
  json.field("op_error", whole.op_error);
  json.open_array("classes");
  for (const ClassValidation& one : validation.classes) write_class(json, one);
  json.close();
  json.field("predicted_idle_seconds", validation.predicted_idle.value());
  json.field("measured_idle_seconds", validation.measured_idle.value());
  json.field("unexplained_step_error", validation.unexplained_error);
  json.close();
  return std::move(json).text();
}

}  // namespace fabricast::validation
