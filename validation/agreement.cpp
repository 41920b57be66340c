#include "validation/agreement.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "hardware_models/json_text.hpp"
#include "validation/json_writer.hpp"

namespace fabricast::validation {

namespace {

AgreementSummary sum_up(const std::vector<const AgreementRow*>& rows) {
  AgreementSummary summary;
  summary.system = rows.front()->system;
  summary.kind = rows.front()->kind;
  summary.count = rows.size();
  std::set<std::string> families;
  std::vector<double> errors, sizes;
  for (const AgreementRow* row : rows) {
    families.insert(row->family);
    errors.push_back(row->error());
    sizes.push_back(std::abs(row->error()));
    if (sizes.back() > summary.worst) {
      summary.worst = sizes.back();
      summary.worst_place = row->place;
    }
  }
  summary.families = families.size();
  summary.median = quantile(sizes, 0.5);
  summary.p90 = quantile(sizes, 0.9);
  summary.bias = quantile(errors, 0.5);
  return summary;
}

std::string percent(double share) { return fmt::format("{:.1f} %", 100.0 * share); }
std::string signed_percent(double share) { return fmt::format("{:+.1f} %", 100.0 * share); }
std::string show_place(const Place& place) { return fmt::format("{}:{}", place.file.substr(place.file.rfind('/') + 1), place.line); }

std::string csv_cell(const std::string& text) {
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + '"';
}

void write_row(JsonWriter& json, const AgreementRow& row) {
  json.open_object();
  if (!row.system.empty()) json.field("system", row.system);
  json.field("kind", row.kind);
  json.field("family", row.family);
  json.field("measured_seconds", row.measured.value());
  json.field("predicted_seconds", row.predicted.value());
  json.field("error", row.error());
  json.field("source", fmt::format("{}:{}", row.place.file, row.place.line));
  json.close();
}

void write_summary(JsonWriter& json, const AgreementSummary& summary) {
  json.open_object();
  if (!summary.system.empty()) json.field("system", summary.system);
  json.field("kind", summary.kind);
  json.field("count", static_cast<std::int64_t>(summary.count));
  json.field("families", static_cast<std::int64_t>(summary.families));
  json.field("median_error", summary.median);
  json.field("p90_error", summary.p90);
  json.field("worst_error", summary.worst);
  json.field("worst_source", fmt::format("{}:{}", summary.worst_place.file, summary.worst_place.line));
  json.field("bias", summary.bias);
  json.close();
}

}  // namespace

double quantile(std::vector<double> values, double q) {
  assert(!values.empty() && "a quantile needs a value");
  std::sort(values.begin(), values.end());
  const double at = q * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const std::size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (at - static_cast<double>(below)) * (values[above] - values[below]);
}

Agreement agreement(std::vector<AgreementRow> rows) {
  Agreement result{std::move(rows), {}};
  std::map<std::pair<std::string, std::string>, std::vector<const AgreementRow*>> groups;
  for (const AgreementRow& row : result.rows) groups[{row.system, row.kind}].push_back(&row);
  for (const auto& [key, group] : groups) result.summaries.push_back(sum_up(group));
  return result;
}

std::string agreement_table(const Agreement& agreement) {
  Table table({{"system", Table::Align::left}, {"kind", Table::Align::left}, {"n"}, {"median"}, {"p90"}, {"worst"}, {"bias"}, {"worst at"}});
  for (const AgreementSummary& s : agreement.summaries) {
    table.add({s.system.empty() ? "-" : s.system, s.kind, show_count(static_cast<double>(s.count)), percent(s.median), percent(s.p90),
               percent(s.worst), signed_percent(s.bias), show_place(s.worst_place)});
  }
  return table.text();
}

std::string agreement_rows(const Agreement& agreement, std::size_t most) {
  Table table({{"at", Table::Align::left}, {"kind", Table::Align::left}, {"family", Table::Align::left}, {"measured"}, {"predicted"}, {"error"}});
  const std::size_t shown = std::min(most, agreement.rows.size());
  for (std::size_t i = 0; i < shown; ++i) {
    const AgreementRow& row = agreement.rows[i];
    table.add({show_place(row.place), row.kind, row.family, show(row.measured), show(row.predicted), signed_percent(row.error())});
  }
  std::string text = table.text();
  if (shown < agreement.rows.size()) text += fmt::format("  … and {} more rows; --csv FILE has all\n", agreement.rows.size() - shown);
  return text;
}

std::string to_json(const Agreement& agreement) {
  JsonWriter json;
  json.open_object();
  json.field("schema", "fabricast.validation/1");
  json.open_array("summary");
  for (const AgreementSummary& summary : agreement.summaries) write_summary(json, summary);
  json.close();
  json.open_array("rows");
  for (const AgreementRow& row : agreement.rows) write_row(json, row);
  json.close();
  json.close();
  return std::move(json).text();
}

std::string to_csv(const Agreement& agreement) {
  std::string text = "source,system,kind,family,measured_seconds,predicted_seconds,error\n";
  for (const AgreementRow& row : agreement.rows) {
    text += fmt::format("{},{},{},{},{},{},{}\n", csv_cell(fmt::format("{}:{}", row.place.file, row.place.line)), csv_cell(row.system),
                        csv_cell(row.kind), csv_cell(row.family), hw::json_number(row.measured.value()), hw::json_number(row.predicted.value()),
                        hw::json_number(row.error()));
  }
  return text;
}

}  // namespace fabricast::validation
