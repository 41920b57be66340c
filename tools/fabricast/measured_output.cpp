#include "tools/fabricast/measured_output.hpp"

#include <utility>

#include "validation/chrome_trace.hpp"
#include "validation/measured_trace.hpp"

namespace fabricast::tools {

MeasuredOutput::MeasuredOutput(const MeasuredFiles& files) {
  if (files.json) json_.emplace(*files.json);
  if (files.trace) trace_.emplace(*files.trace);
  if (files.measured) measured_.emplace(*files.measured);
}

validation::Report MeasuredOutput::write(const validation::Experiment& experiment, validation::Plan plan,
                                         const validation::Measurement& measurement) {
  if (measured_) {
    validation::write_measured_trace(validation::measured_trace(experiment.name, measurement.backend, plan.schedule, measurement.options,
                                                                measurement.run),
                                     measured_->stream());
    measured_->commit();
  }
  const validation::Forecast median = validation::median_step(experiment, std::move(plan), measurement.run);
  validation::Report report = validation::summarize(experiment, median, measurement);
  if (trace_) {
    validation::write_chrome_trace(median, trace_->stream(), "measured");
    trace_->commit();
  }
  if (json_) {
    json_->stream() << validation::to_json(report);
    json_->commit();
  }
  return report;
}

}  // namespace fabricast::tools
