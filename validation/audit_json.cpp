#include <utility>

#include "validation/audit.hpp"
#include "validation/json_writer.hpp"

namespace fabricast::validation {

namespace {

void write_case(JsonWriter& json, const PredictedCase& one) {
  json.open_object();
  json.field("name", one.name);
  json.field("experiment", one.experiment);
  json.open_array("set");
  for (const std::string& set : one.sets) json.element(set);
  json.close();
  if (!one.setting.empty()) json.field("best", one.setting);
  json.field("step_seconds", one.report.step.value());
  json.field("tokens_per_second", one.report.tokens_per_second);
  json.field("mfu", one.report.mfu);
  json.close();
}

void write_readings(JsonWriter& json, std::string_view name, const std::vector<JudgedReading>& readings) {
  json.open_array(name);
  for (const JudgedReading& reading : readings) {
    json.open_object();
    json.field("reading", reading.what);
    json.field("expression", reading.expression);
    json.field("arithmetic", reading.arithmetic);
    json.field("value", reading.value);
    json.field("agrees", reading.agrees);
    json.close();
  }
  json.close();
}

void write_claim(JsonWriter& json, const JudgedClaim& judged) {
  json.open_object();
  json.field("id", judged.claim.id);
  json.field("statement", judged.claim.statement);
  json.field("place", judged.claim.place);
  json.field("claimed", judged.claim.claimed);
  if (judged.claim.relation == Relation::between) json.field("claimed_to", judged.claim.claimed_to);
  if (!judged.model.empty()) json.field("model", judged.model.front().value);
  json.field("verdict", name_of(judged.verdict));
  json.field("why", judged.why);
  json.open_array("needs");
  for (const std::string& need : judged.needs) json.element(need);
  json.close();
  write_readings(json, "own_arithmetic", judged.own);
  write_readings(json, "readings", judged.model);
  json.close();
}

}  // namespace

std::string to_json(const Audit& audit) {
  JsonWriter json;
  json.open_object();
  json.field("schema", "fabricast.audit/1");
  json.field("name", audit.name);
  json.field("source", audit.source);
  json.open_array("claims");
  for (const JudgedClaim& judged : audit.claims) write_claim(json, judged);
  json.close();
  json.open_array("cases");
  for (const PredictedCase& one : audit.cases) write_case(json, one);
  json.close();
  json.close();
  return std::move(json).text();
}

}  // namespace fabricast::validation
