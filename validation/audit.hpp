// Judges published claims: by the publication's own arithmetic first, then by what the model predicts of the experiments that the claims
// name. Knows claims and reports; expressions say how they meet.
#pragma once

#include <string>
#include <vector>

#include "validation/claims.hpp"
#include "validation/report.hpp"
#include "validation/text.hpp"

namespace fabricast::validation {

/// contradicts_itself: a figure of the publication's own does not agree. holds, does_not_hold: so say all readings of the model.
/// cannot_be_judged: readings disagree and the publication does not say which it means, or something is missing that the model would need.
enum class Verdict : std::uint8_t { holds, does_not_hold, contradicts_itself, cannot_be_judged };
[[nodiscard]] std::string_view name_of(Verdict verdict);

struct JudgedReading {
  std::string what, expression, arithmetic;
  double value = 0;
  bool agrees = false;
};

struct JudgedClaim {
  Claim claim;
  std::vector<JudgedReading> own, model;
  std::vector<std::string> needs;  // filled in; of claims that do not hold
  Verdict verdict = Verdict::cannot_be_judged;
  std::string why;
};

/// A case and what is predicted of it; `setting` is what came out best of those tried.
struct PredictedCase {
  std::string name, experiment, setting;
  std::vector<std::string> sets;
  Report report;
};

struct Audit {
  std::string name, source;
  std::vector<PredictedCase> cases;
  std::vector<JudgedClaim> claims;

  [[nodiscard]] bool refutes_any() const;  // a claim that does not hold or contradicts itself
};

/// Names in expressions: claimed, claims.ID (the value that another claim states), quantities, CASE.PATH (a field of the case's report, as
/// JSON) and CASE.plan.PATH (of its description). Throws hw::ConfigError with file and line of an expression that cannot be evaluated.
[[nodiscard]] Audit judge(const ClaimSet& set, std::vector<PredictedCase> cases);

/// The same with every case predicted; `sets` apply to all of them, after their own.
[[nodiscard]] Audit audit(const ClaimSet& set, const std::vector<std::string>& sets);

/// Whether a value agrees with what is claimed.
[[nodiscard]] bool agrees(const Claim& claim, double value);

[[nodiscard]] std::string summary(const Audit& audit, TextStyle style);
[[nodiscard]] std::string to_markdown(const Audit& audit);

/// The JSON of schema "fabricast.audit/1", ending in a newline.
[[nodiscard]] std::string to_json(const Audit& audit);

}  // namespace fabricast::validation
