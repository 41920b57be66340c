// Least squares that a few wild rows cannot move: damped Gauss-Newton steps on Huber's loss, within bounds. Knows no model; Eigen stays in
// the .cpp.
#pragma once

#include <functional>
#include <vector>

namespace fabricast::validation {

/// `step` is how far the parameter is moved to find derivatives: small, but wide against what the model rounds.
struct FitParameter {
  double start, least, most, step;
};

/// Writes one residual per row. Rows may be in any unit; logarithms of measured / predicted treat short and long kernels alike.
using Residuals = std::function<void(const std::vector<double>& parameters, std::vector<double>& residuals)>;

struct FitResult {
  std::vector<double> values;            // within their bounds
  std::vector<double> standard_errors;   // from the rows' scatter; infinite for a parameter that the rows do not determine
  double scatter = 0;                    // robust standard deviation of the residuals: 1.4826 · median |residual|
  int iterations = 0;
};

/// Minimises Σ huber(residual / (1.345 · scatter)), the scatter taken anew in every iteration (Huber 1981; 95 % efficient where errors are
/// normal). Lower bounds of 0 make it a non-negative least squares. Where the model has kinks it stops at a point that no damped step
/// improves. Deterministic. Throws std::invalid_argument without rows or where a start lies outside its bounds.
[[nodiscard]] FitResult robust_least_squares(const std::vector<FitParameter>& parameters, std::size_t rows, const Residuals& residuals);

}  // namespace fabricast::validation
