#include "validation/grid_point.hpp"

#include <fmt/format.h>

#include <stdexcept>
#include <utility>

#include "hardware_models/json_reader.hpp"
#include "hardware_models/json_text.hpp"
#include "validation/document_values.hpp"
#include "validation/experiment.hpp"
#include "validation/experiment_document.hpp"
#include "validation/fingerprint.hpp"
#include "validation/forecast.hpp"
#include "validation/node_text.hpp"
#include "validation/report_json.hpp"

namespace fabricast::validation {

namespace {

constexpr const char* line_schema = "fabricast.sweep_point/1";

std::vector<std::string> all_settings(const Grid& grid, std::size_t point, const GridSettings& settings) {
  std::vector<std::string> all = settings.sets;
  for (std::string& own : grid.settings(point)) all.push_back(std::move(own));
  return all;
}

std::string set_text(const Grid& grid, std::size_t point) {
  const std::vector<std::string> keys = grid.keys();
  const std::vector<hw::JsonNode> values = grid.values(point);
  std::string text;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    text += fmt::format("{}{}: {}", i == 0 ? "" : ", ", hw::json_quote(keys[i]), one_line_text(values[i]));
  }
  return "{" + text + "}";
}

JsonWriter begin_line(const PointKey& key) {
  JsonWriter json(JsonWriter::Layout::one_line);
  json.open_object();
  json.field("schema", line_schema);
  json.field_json("set", key.set);
  json.field("fingerprint", key.fingerprint);
  return json;
}

std::string error_line(const PointKey& key, const std::string& error) {
  JsonWriter json = begin_line(key);
  json.field("error", error);
  json.close();
  return std::move(json).text();
}

PointFigures figures_of(const hw::JsonNode& report) {
  PointFigures figures;
  figures.step = Seconds(number_at(report, "step_seconds"));
  figures.tokens_per_second = number_at(report, "tokens_per_second");
  figures.mfu = number_at(report, "mfu");
  figures.exposed_share = share_of(Seconds(number_at(report, "time.communication_exposed_seconds")), figures.step);
  figures.peak = Bytes(hw::as_integer(value_at(report, "memory.peak_bytes"), {0, std::int64_t{1} << 62}));
  figures.fits = hw::as_boolean(value_at(report, "memory.fits"));
  return figures;
}

}  // namespace

PreparedPoint prepare_point(const Grid& grid, std::size_t point, const GridSettings& settings) {
  hw::JsonNode document = load_document(grid.experiment, all_settings(grid, point, settings));
  const std::string others = fmt::format("fidelity {}, interference {}, fabricast {}", sim::name_of(settings.options.fidelity),
                                         settings.options.interference, settings.version);
  PreparedPoint prepared{{set_text(grid, point), fingerprint(document, grid.experiment, others)}, {}};
  try {
    (void)read_experiment(std::move(document), grid.experiment);
  } catch (const hw::ConfigError& error) {
    prepared.error = error.what();
  }
  return prepared;
}

std::string forecast_line(const Grid& grid, std::size_t point, const PreparedPoint& prepared, const GridSettings& settings) {
  if (prepared.error) return error_line(prepared.key, *prepared.error);
  try {
    const Experiment experiment = load_experiment(grid.experiment, all_settings(grid, point, settings));
    const Forecast done = forecast(experiment, settings.options);
    JsonWriter json = begin_line(prepared.key);
    json.open_object("report");
    write_report(json, summarize(experiment, done, settings.options.fidelity));
    json.close();
    json.close();
    return std::move(json).text();
  } catch (const hw::ConfigError& error) {
    return error_line(prepared.key, error.what());
  } catch (const std::overflow_error& error) {
    return error_line(prepared.key, std::string("beyond what can be simulated: ") + error.what());
  }
}

PointResult read_point_line(std::string_view line, const std::string& place) {
  const hw::JsonNode document = hw::parse_json_text(line, place);
  PointResult result;
  try {
    if (hw::as_text(value_at(document, "schema")) != line_schema) throw std::runtime_error("another schema");
    const hw::JsonNode* set = document.find("set");
    if (!set) throw std::runtime_error("no 'set'");
    for (const auto& [key, value] : hw::as_object(*set)) result.values.push_back(one_line_text(value));
    result.key = {one_line_text(*set), hw::as_text(value_at(document, "fingerprint"))};
    if (const hw::JsonNode* report = document.find("report")) {
      result.figures = figures_of(*report);
    } else {
      result.error = hw::as_text(value_at(document, "error"));
    }
  } catch (const std::runtime_error& error) {
    throw hw::ConfigError(fmt::format("{}: is no line that a sweep wrote ({}); give --out a file of its own", place, error.what()));
  }
  return result;
}

}  // namespace fabricast::validation
