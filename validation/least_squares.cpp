#include "validation/least_squares.hpp"

#include <Eigen/Cholesky>
#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

namespace fabricast::validation {

namespace {

constexpr double huber_corner = 1.345;          // in units of the scatter
constexpr double scatter_of_median = 1.4826;    // standard deviation over median |x| of a normal distribution
constexpr double least_scatter = 1e-9;          // of exact rows
constexpr int most_iterations = 100, most_dampings = 12, patience = 3;
constexpr double flat = 1e-9;                   // curvature over a parameter's own, below which rounding is all there is
constexpr double enough = 1e-5;                 // relative gain of an iteration that counts as progress

using Values = std::vector<double>;

double scatter_of(const Values& residuals) {
  Values sizes;
  for (const double r : residuals) sizes.push_back(std::abs(r));
  const auto middle = sizes.begin() + static_cast<std::ptrdiff_t>(sizes.size() / 2);
  std::nth_element(sizes.begin(), middle, sizes.end());
  return std::max(least_scatter, scatter_of_median * *middle);
}

/// r² / 2 up to the corner, linear beyond.
double loss(const Values& residuals, double corner) {
  double sum = 0;
  for (const double r : residuals) {
    const double size = std::abs(r);
    sum += size <= corner ? size * size / 2 : corner * (size - corner / 2);
  }
  return sum;
}

class Problem {
 public:
  Problem(const std::vector<FitParameter>& parameters, std::size_t rows, const Residuals& residuals)
      : parameters_(parameters), rows_(rows), residuals_(residuals) {}

  [[nodiscard]] Values at(const Values& values) const {
    Values result(rows_);
    residuals_(values, result);
    return result;
  }

  /// Central differences, one-sided at a bound.
  [[nodiscard]] Eigen::MatrixXd derivatives(const Values& values) const {
    Eigen::MatrixXd result(static_cast<Eigen::Index>(rows_), static_cast<Eigen::Index>(values.size()));
    for (std::size_t j = 0; j < values.size(); ++j) {
      Values low = values, high = values;
      low[j] = std::max(parameters_[j].least, values[j] - parameters_[j].step);
      high[j] = std::min(parameters_[j].most, values[j] + parameters_[j].step);
      const Values below = at(low), above = at(high);
      for (std::size_t i = 0; i < rows_; ++i) {
        result(static_cast<Eigen::Index>(i), static_cast<Eigen::Index>(j)) = (above[i] - below[i]) / (high[j] - low[j]);
      }
    }
    return result;
  }

  [[nodiscard]] Values clamped(Values values) const {
    for (std::size_t j = 0; j < values.size(); ++j) values[j] = std::clamp(values[j], parameters_[j].least, parameters_[j].most);
    return values;
  }

  /// Is the value at a bound that the downhill direction would leave?
  [[nodiscard]] bool is_held(std::size_t j, double value, double gradient) const {
    return (value <= parameters_[j].least && gradient > 0) || (value >= parameters_[j].most && gradient < 0);
  }

  [[nodiscard]] std::size_t size() const { return parameters_.size(); }

 private:
  const std::vector<FitParameter>& parameters_;
  std::size_t rows_;
  const Residuals& residuals_;
};

/// Jᵀ·W·J and Jᵀ·W·r; W makes the squares of far rows grow linearly.
struct Normal {
  Eigen::MatrixXd matrix;
  Eigen::VectorXd gradient;
};

Normal normal_equations(const Problem& problem, const Values& values, const Values& residuals, double corner) {
  const Eigen::MatrixXd derivatives = problem.derivatives(values);
  const Eigen::Map<const Eigen::VectorXd> r(residuals.data(), static_cast<Eigen::Index>(residuals.size()));
  const Eigen::VectorXd weights = r.unaryExpr([corner](double x) { return std::abs(x) <= corner ? 1.0 : corner / std::abs(x); });
  const Eigen::MatrixXd weighted = weights.asDiagonal() * derivatives;
  return {derivatives.transpose().lazyProduct(weighted), weighted.transpose().lazyProduct(r)};  // few columns: nothing to gain from blocks
}

/// (Jᵀ·W·J + damping · its diagonal)·step = −Jᵀ·W·r over the parameters that no bound holds.
Values stepped(const Problem& problem, const Values& values, const Normal& normal, double damping) {
  Eigen::MatrixXd matrix = normal.matrix;
  Eigen::VectorXd gradient = normal.gradient;
  for (Eigen::Index j = 0; j < matrix.rows(); ++j) {
    const bool held = problem.is_held(static_cast<std::size_t>(j), values[static_cast<std::size_t>(j)], gradient(j));
    if (held || matrix(j, j) <= 0) {
      matrix.row(j).setZero();
      matrix.col(j).setZero();
      matrix(j, j) = 1;
      gradient(j) = 0;
    } else {
      matrix(j, j) *= 1 + damping;
    }
  }
  const Eigen::VectorXd step = -matrix.ldlt().solve(gradient);
  Values next = values;
  for (std::size_t j = 0; j < next.size(); ++j) {
    const double change = step(static_cast<Eigen::Index>(j));
    if (std::isfinite(change)) next[j] += change;
  }
  return problem.clamped(std::move(next));
}

/// From the inverse of the scaled normal matrix, without the directions in which the loss is flat: a parameter that lies along one of those is
/// not determined, and the others are.
Values errors_of(const Normal& normal, double scatter) {
  const Eigen::Index n = normal.matrix.rows();
  Values errors(static_cast<std::size_t>(n), std::numeric_limits<double>::infinity());
  const Eigen::VectorXd scale = normal.matrix.diagonal().cwiseMax(1e-300).cwiseSqrt().cwiseInverse();
  const Eigen::MatrixXd scaled = scale.asDiagonal() * normal.matrix * scale.asDiagonal();
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> directions(scaled);
  for (Eigen::Index j = 0; j < n; ++j) {
    double variance = 0, along_flat = 0;
    for (Eigen::Index d = 0; d < n; ++d) {
      const double part = directions.eigenvectors()(j, d) * directions.eigenvectors()(j, d), curvature = directions.eigenvalues()(d);
      if (curvature > flat) variance += part / curvature;
      else along_flat += part;
    }
    if (along_flat < flat && normal.matrix(j, j) > 0) errors[static_cast<std::size_t>(j)] = scatter * scale(j) * std::sqrt(variance);
  }
  return errors;
}

void check(const std::vector<FitParameter>& parameters, std::size_t rows) {
  if (rows == 0) throw std::invalid_argument("a fit needs rows");
  for (const FitParameter& p : parameters) {
    if (!(p.start >= p.least && p.start <= p.most && p.step > 0)) throw std::invalid_argument("a fit starts within its bounds");
  }
}

}  // namespace

FitResult robust_least_squares(const std::vector<FitParameter>& parameters, std::size_t rows, const Residuals& residuals) {
  check(parameters, rows);
  const Problem problem(parameters, rows, residuals);
  Values values;
  for (const FitParameter& p : parameters) values.push_back(p.start);
  Values current = problem.at(values);
  FitResult result;
  double damping = 1e-3;
  for (int idle = 0; result.iterations < most_iterations && idle < patience; ++result.iterations) {
    const double corner = huber_corner * scatter_of(current), before = loss(current, corner);
    const Normal normal = normal_equations(problem, values, current, corner);
    double after = before;
    for (int attempt = 0; attempt < most_dampings; ++attempt, damping *= 4) {
      const Values next = stepped(problem, values, normal, damping);
      Values changed = problem.at(next);
      const double tried = loss(changed, corner);
      if (tried >= before) continue;
      after = tried;
      values = next;
      current = std::move(changed);
      break;
    }
    damping = std::clamp(damping / 8, 1e-9, 1e3);
    idle = after < before * (1 - enough) ? 0 : idle + 1;
  }
  result.scatter = scatter_of(current);
  result.standard_errors = errors_of(normal_equations(problem, values, current, huber_corner * result.scatter), result.scatter);
  result.values = std::move(values);
  return result;
}

}  // namespace fabricast::validation
