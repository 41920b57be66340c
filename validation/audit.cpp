#include "validation/audit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <utility>

#include "hardware_models/edit_distance.hpp"
#include "validation/compare.hpp"
#include "validation/description.hpp"
#include "validation/document_values.hpp"
#include "validation/expression.hpp"

namespace fabricast::validation {

namespace {

constexpr std::string_view plan_prefix = "plan.";

std::vector<std::string> joined(std::vector<std::string> first, const std::vector<std::string>& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

Report report_of(const std::filesystem::path& experiment, const std::vector<std::string>& sets) {
  const Experiment loaded = load_experiment(experiment, sets);
  const sim::SimulateOptions options;
  return summarize(loaded, forecast(loaded, options), options.fidelity);
}

/// The best of the values tried; those that the configuration forbids are passed over, unless all are.
PredictedCase predict(const ClaimCase& one, const std::vector<std::string>& more) {
  PredictedCase result{one.name, one.experiment.string(), {}, joined(one.sets, more), {}};
  if (one.best_values.empty()) {
    result.report = report_of(one.experiment, result.sets);
    return result;
  }
  std::vector<SweepPoint> points;
  std::optional<hw::ConfigError> first_error;
  for (const std::string& value : one.best_values) {
    SweepPoint point{{one.best_key + "=" + value}, {}, {}};
    try {
      point.report = report_of(one.experiment, joined(result.sets, point.sets));
    } catch (const hw::ConfigError& error) {
      if (!first_error) first_error = error;
    }
    points.push_back(std::move(point));
  }
  const auto best = best_point(points);
  if (!best) throw *first_error;
  result.setting = points[*best].sets.front();
  result.sets.push_back(result.setting);
  result.report = *points[*best].report;
  return result;
}

/// What the names in expressions mean.
class Names {
 public:
  Names(const ClaimSet& set, const std::vector<PredictedCase>& cases) : set_(set) {
    for (const PredictedCase& one : cases)
      cases_.emplace(one.name, Documents{&one, hw::parse_json_text(to_json(one.report), one.name), {}});
  }

  double value_of(std::string_view name, const Claim& claim) {
    if (name == "claimed") return claim.claimed;
    const std::size_t dot = name.find('.');
    const std::string_view first = name.substr(0, dot);
    if (dot == std::string_view::npos) return quantity(name);
    const std::string_view path = name.substr(dot + 1);
    if (first == "claims") return claimed_by(path);
    const auto found = cases_.find(first);
    if (found == cases_.end()) throw std::runtime_error(fmt::format("no case '{}'{}", first, did_you_mean(first, names_of(cases_))));
    if (path.substr(0, plan_prefix.size()) != plan_prefix) return number_at(found->second.report, path);
    return number_at(description_of(found->second), path.substr(plan_prefix.size()));
  }

 private:
  struct Documents {
    const PredictedCase* predicted;
    hw::JsonNode report;
    std::optional<hw::JsonNode> description;  // made when first asked for
  };

  static std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates) {
    const auto near = hw::nearest(word, candidates);
    return near ? fmt::format(", did you mean '{}'?", *near) : fmt::format("; there are {}", fmt::join(candidates, ", "));
  }

  template <class Map>
  static std::vector<std::string> names_of(const Map& map) {
    std::vector<std::string> names;
    for (const auto& entry : map) names.push_back(entry.first);
    return names;
  }

  [[nodiscard]] double quantity(std::string_view name) const {
    const auto found = set_.quantities.find(name);
    if (found == set_.quantities.end()) {
      throw std::runtime_error(fmt::format("no quantity '{}'{}", name, did_you_mean(name, names_of(set_.quantities))));
    }
    return found->second;
  }

  [[nodiscard]] double claimed_by(std::string_view id) const {
    std::vector<std::string> ids;
    for (const Claim& claim : set_.claims) {
      if (claim.id == id) return claim.claimed;
      ids.push_back(claim.id);
    }
    throw std::runtime_error(fmt::format("no claim '{}'{}", id, did_you_mean(id, ids)));
  }

  static const hw::JsonNode& description_of(Documents& documents) {
    if (!documents.description) {
      const PredictedCase& one = *documents.predicted;
      const Experiment experiment = load_experiment(one.experiment, one.sets);
      documents.description = hw::parse_json_text(to_json(describe(experiment, plan(experiment))), one.name);
    }
    return *documents.description;
  }

  const ClaimSet& set_;
  std::map<std::string, Documents, std::less<>> cases_;
};

Evaluated evaluate_at(const std::string& place, std::string_view expression, const Claim& claim, Names& names) {
  try {
    return evaluate(expression, [&](std::string_view name) { return names.value_of(name, claim); });
  } catch (const ExpressionError& error) {
    throw hw::ConfigError(fmt::format("{}: {}: {}", place, hw::shown(expression), error.what()));
  }
}

std::vector<JudgedReading> judge_readings(const std::vector<Reading>& readings, const Claim& claim, Names& names) {
  std::vector<JudgedReading> result;
  for (const Reading& reading : readings) {
    Evaluated evaluated = evaluate_at(reading.place, reading.expression, claim, names);
    result.push_back({reading.what, reading.expression, std::move(evaluated.arithmetic), evaluated.value, agrees(claim, evaluated.value)});
  }
  return result;
}

/// "a step of {guide.step_seconds * 2:duration}" with its braces filled in.
std::string filled(const Reading& text, const Claim& claim, Names& names) {
  std::string out;
  std::string_view rest = text.what;
  while (true) {
    const std::size_t open = rest.find('{');
    out += rest.substr(0, open);
    if (open == std::string_view::npos) return out;
    const std::size_t close = rest.find('}', open);
    const std::string_view inside = rest.substr(open + 1, close == std::string_view::npos ? close : close - open - 1);
    const std::size_t colon = inside.rfind(':');
    const auto format = colon == std::string_view::npos ? std::nullopt : format_named(inside.substr(colon + 1));
    if (close == std::string_view::npos || !format) {
      throw hw::ConfigError(
          fmt::format("{}: {}: write {{expression:format}}, the format one of number, count, share, factor, duration, "
                      "bytes, rate",
                      text.place, hw::shown(rest.substr(open))));
    }
    out += show_as(*format, evaluate_at(text.place, inside.substr(0, colon), claim, names).value);
    rest.remove_prefix(close + 1);
  }
}

Verdict verdict_of(const JudgedClaim& judged) {
  const auto agreed = [](const JudgedReading& reading) { return reading.agrees; };
  if (!std::all_of(judged.own.begin(), judged.own.end(), agreed)) return Verdict::contradicts_itself;
  if (judged.model.empty()) return judged.own.empty() || !judged.claim.missing.empty() ? Verdict::cannot_be_judged : Verdict::holds;
  if (std::all_of(judged.model.begin(), judged.model.end(), agreed)) return Verdict::holds;
  return std::any_of(judged.model.begin(), judged.model.end(), agreed) ? Verdict::cannot_be_judged : Verdict::does_not_hold;
}

std::string shown(const Claim& claim, double value) { return show_as(claim.format, value, claim.unit); }

/// "1.23x (at its best) and 1.61x (chunked)" of the readings that agree, or of those that do not.
std::string listed(const JudgedClaim& judged, bool agreeing) {
  std::vector<std::string> parts;
  for (const JudgedReading& reading : judged.model) {
    if (reading.agrees == agreeing) parts.push_back(fmt::format("{} ({})", shown(judged.claim, reading.value), reading.what));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::string contradiction(const JudgedClaim& judged) {
  std::vector<std::string> parts;
  for (const JudgedReading& reading : judged.own) {
    if (!reading.agrees) parts.push_back(fmt::format("{}: {} = {}", reading.what, reading.arithmetic, shown(judged.claim, reading.value)));
  }
  return fmt::format("Its own figures: {}.", fmt::join(parts, "; "));
}

std::string why(const JudgedClaim& judged) {
  switch (judged.verdict) {
    case Verdict::holds:
      if (judged.model.empty())
        return fmt::format("Its own figures: {}: {} = {}.", judged.own[0].what, judged.own[0].arithmetic,
                           shown(judged.claim, judged.own[0].value));
      return fmt::format("The model gives {}.", listed(judged, true));
    case Verdict::does_not_hold:
      return fmt::format("The model gives {}.", listed(judged, false));
    case Verdict::contradicts_itself:
      return contradiction(judged);
    case Verdict::cannot_be_judged:
      break;
  }
  if (judged.model.empty()) return fmt::format("Missing: {}.", judged.claim.missing);
  const std::string missing = judged.claim.missing.empty() ? "which of these is meant" : judged.claim.missing;
  return fmt::format("It holds for {}, not for {}. Missing: {}.", listed(judged, true), listed(judged, false), missing);
}

JudgedClaim judge_one(const Claim& claim, Names& names) {
  JudgedClaim judged{claim, judge_readings(claim.own, claim, names), judge_readings(claim.model, claim, names), {}, {}, {}};
  judged.verdict = verdict_of(judged);
  judged.why = why(judged);
  std::vector<std::string> needs;
  for (const Reading& need : claim.needs) needs.push_back(filled(need, claim, names));
  if (judged.verdict != Verdict::holds) judged.needs = std::move(needs);
  return judged;
}

}  // namespace

std::string_view name_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::holds:
      return "holds";
    case Verdict::does_not_hold:
      return "does_not_hold";
    case Verdict::contradicts_itself:
      return "contradicts_itself";
    case Verdict::cannot_be_judged:
      return "cannot_be_judged";
  }
  return "";
}

bool agrees(const Claim& claim, double value) {
  switch (claim.relation) {
    case Relation::equals:
      return std::abs(value - claim.claimed) <= claim.slack;
    case Relation::less:
      return value < claim.claimed;
    case Relation::at_most:
      return value <= claim.claimed;
    case Relation::more:
      return value > claim.claimed;
    case Relation::at_least:
      return value >= claim.claimed;
    case Relation::between:
      return value >= claim.claimed && value <= claim.claimed_to;
  }
  return false;
}

bool Audit::refutes_any() const {
  return std::any_of(claims.begin(), claims.end(), [](const JudgedClaim& judged) {
    return judged.verdict == Verdict::does_not_hold || judged.verdict == Verdict::contradicts_itself;
  });
}

Audit judge(const ClaimSet& set, std::vector<PredictedCase> cases) {
  Audit result{set.name, set.source, std::move(cases), {}};
  Names names(set, result.cases);
  for (const Claim& claim : set.claims) result.claims.push_back(judge_one(claim, names));
  return result;
}

Audit audit(const ClaimSet& set, const std::vector<std::string>& sets) {
  std::vector<PredictedCase> cases;
  for (const ClaimCase& one : set.cases) cases.push_back(predict(one, sets));
  return judge(set, std::move(cases));
}

}  // namespace fabricast::validation
