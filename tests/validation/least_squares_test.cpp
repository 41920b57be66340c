#include "validation/least_squares.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <stdexcept>

#include "strategies/ir/split_mix.hpp"

namespace fabricast::least_squares_test {

using namespace fabricast;
using namespace fabricast::validation;

/// Normal with mean 0 and deviation 1: the sum of twelve uniform numbers less six.
double normal(ir::SplitMix64& random) {
  double sum = -6;
  for (int i = 0; i < 12; ++i) sum += static_cast<double>(random.next() >> 11) * 0x1p-53;
  return sum;
}

/// y = latency + bytes / bandwidth.
struct Line {
  std::vector<double> x, y;
  Residuals residuals() const {
    return [this](const std::vector<double>& p, std::vector<double>& r) {
      for (std::size_t i = 0; i < x.size(); ++i) r[i] = p[0] + p[1] * x[i] - y[i];
    };
  }
};

Line noisy_line(double noise, std::size_t wild) {
  Line line;
  ir::SplitMix64 random(7);
  for (int i = 0; i < 200; ++i) {
    line.x.push_back(i / 20.0);
    line.y.push_back(3.0 + 2.0 * line.x.back() + noise * normal(random));
  }
  for (std::size_t i = 0; i < wild; ++i) line.y[i * 13 % 200] *= 20;
  return line;
}

const std::vector<FitParameter> free_line{{1, -100, 100, 1e-3}, {1, -100, 100, 1e-3}};

TEST_CASE("exact rows give back the line that they lie on") {
  const Line line = noisy_line(0, 0);
  const FitResult fit = robust_least_squares(free_line, line.x.size(), line.residuals());
  CHECK(fit.values[0] == doctest::Approx(3.0).epsilon(1e-6));
  CHECK(fit.values[1] == doctest::Approx(2.0).epsilon(1e-6));
}

// Standard errors of a line through n points with deviation s, Huber 95 % efficient: about s·sqrt(1/n + mean²/Sxx) and s/sqrt(Sxx).
TEST_CASE("noisy rows give the line back within its standard errors, and those are the textbook's") {
  const Line line = noisy_line(0.5, 0);
  const FitResult fit = robust_least_squares(free_line, line.x.size(), line.residuals());
  CHECK(std::abs(fit.values[0] - 3.0) < 3 * fit.standard_errors[0]);
  CHECK(std::abs(fit.values[1] - 2.0) < 3 * fit.standard_errors[1]);
  const double n = 200, mean = 4.975, spread = n * (10.0 * 10.0 / 12.0);
  CHECK(fit.standard_errors[0] == doctest::Approx(0.5 * std::sqrt(1 / n + mean * mean / spread)).epsilon(0.25));
  CHECK(fit.standard_errors[1] == doctest::Approx(0.5 / std::sqrt(spread)).epsilon(0.25));
}

TEST_CASE("one row in ten being wild does not move the line out of its standard errors") {
  const Line line = noisy_line(0.5, 20);
  const FitResult fit = robust_least_squares(free_line, line.x.size(), line.residuals());
  CHECK(std::abs(fit.values[0] - 3.0) < 4 * fit.standard_errors[0]);
  CHECK(std::abs(fit.values[1] - 2.0) < 4 * fit.standard_errors[1]);
}

TEST_CASE("a bound holds a parameter, and the others are best beside it") {
  Line line = noisy_line(0, 0);
  for (double& y : line.y) y -= 5;   // intercept -2, which a latency cannot be
  const FitResult fit = robust_least_squares({{1, 0, 100, 1e-3}, {1, 0, 100, 1e-3}}, line.x.size(), line.residuals());
  CHECK(fit.values[0] == 0);
  CHECK(fit.values[1] > 1.6);
  CHECK(fit.values[1] < 2.0);
}

TEST_CASE("a parameter that no row depends on has an infinite standard error, and the others have theirs") {
  const Line line = noisy_line(0.1, 0);
  const FitResult without = robust_least_squares({{1, -100, 100, 1e-3}, {1, -100, 100, 1e-3}}, line.x.size(), line.residuals());
  const FitResult fit = robust_least_squares({{1, -100, 100, 1e-3}, {1, -100, 100, 1e-3}, {5, 0, 10, 0.1}}, line.x.size(), line.residuals());
  CHECK(std::isinf(fit.standard_errors[2]));
  CHECK(fit.values[2] == 5);
  for (std::size_t i = 0; i < 2; ++i) CHECK(fit.standard_errors[i] == doctest::Approx(without.standard_errors[i]).epsilon(1e-6));
}

// y = (a + b)·x + c: of a and b only the sum shows.
TEST_CASE("two parameters of which only the sum shows have infinite standard errors, and the third has its own") {
  const Line line = noisy_line(0.1, 0);
  const auto residuals = [&](const std::vector<double>& p, std::vector<double>& r) {
    for (std::size_t i = 0; i < r.size(); ++i) r[i] = (p[0] + p[1]) * line.x[i] + p[2] - line.y[i];
  };
  const FitResult fit = robust_least_squares({{1, -100, 100, 1e-3}, {1, -100, 100, 1e-3}, {0, -100, 100, 1e-3}}, line.x.size(), residuals);
  CHECK(std::isinf(fit.standard_errors[0]));
  CHECK(std::isinf(fit.standard_errors[1]));
  CHECK(std::isfinite(fit.standard_errors[2]));
}

TEST_CASE("no rows and a start outside the bounds are refused") {
  const Residuals nothing = [](const std::vector<double>&, std::vector<double>&) {};
  CHECK_THROWS_AS(robust_least_squares({{1, 0, 2, 0.1}}, 0, nothing), std::invalid_argument);
  CHECK_THROWS_AS(robust_least_squares({{3, 0, 2, 0.1}}, 5, nothing), std::invalid_argument);
}

}  // namespace fabricast::least_squares_test
