// Predicted against measured times, row by row and summed up by kind. Knows no model: it is given both times.
#pragma once

#include <string>
#include <vector>

#include "validation/measurements.hpp"
#include "validation/text.hpp"

namespace fabricast::validation {

struct AgreementRow {
  std::string system, kind, family;
  Seconds measured, predicted;
  Place place;
  [[nodiscard]] double error() const { return predicted / measured - 1.0; }
};

/// Errors are |predicted / measured - 1|; bias is the median of predicted / measured - 1.
struct AgreementSummary {
  std::string system, kind;
  std::size_t count = 0, families = 0;
  double median = 0, p90 = 0, worst = 0, bias = 0;
  Place worst_place;
};

struct Agreement {
  std::vector<AgreementRow> rows;
  std::vector<AgreementSummary> summaries;   // by system and kind, in order of name
};

/// The value below which a share `q` of them lies, interpolated between neighbours. Values need not be sorted, but there must be one.
[[nodiscard]] double quantile(std::vector<double> values, double q);

[[nodiscard]] Agreement agreement(std::vector<AgreementRow> rows);

[[nodiscard]] std::string agreement_table(const Agreement& agreement);
/// Every row: "place system kind family measured predicted error".
[[nodiscard]] std::string agreement_rows(const Agreement& agreement, std::size_t most);
/// The schema "fabricast.validation/1".
[[nodiscard]] std::string to_json(const Agreement& agreement);
[[nodiscard]] std::string to_csv(const Agreement& agreement);

}  // namespace fabricast::validation
