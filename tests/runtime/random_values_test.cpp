#include "runtime/random_values.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <set>

namespace fabricast::random_values_test {

using namespace fabricast::runtime;

TEST_CASE("a weight matrix has mean 0 and variance 1 / rows") {
  // Uniform in ±√(3/n); of 64,000 samples the mean has a standard deviation of √(1/n)/253, the variance one of about 0.9/253 of itself.
  const RandomWeights weights(1, {"w", 2, 3, 64, 1000}, WeightLaw::matrix);
  double sum = 0, squares = 0;
  for (std::int64_t r = 0; r < 64; ++r) {
    for (std::int64_t c = 0; c < 1000; ++c) {
      sum += weights.at(r, c);
      squares += weights.at(r, c) * weights.at(r, c);
      CHECK(std::abs(weights.at(r, c)) <= std::sqrt(3.0 / 64) * (1 + 1e-6));
    }
  }
  CHECK(std::abs(sum / 64000) < 5 * std::sqrt(1.0 / 64) / 253);
  CHECK(squares / 64000 == doctest::Approx(1.0 / 64).epsilon(0.02));
}

TEST_CASE("norm weights lie around 1, table values have variance 1") {
  const RandomWeights norm(1, {"n", 0, 0, 1, 1000}, WeightLaw::norm), table(1, {"t", 0, 0, 1000, 10}, WeightLaw::table);
  double squares = 0;
  for (std::int64_t i = 0; i < 1000; ++i) {
    CHECK(norm.at(0, i) == doctest::Approx(1.0).epsilon(0.1001));
    squares += table.at(i, 3) * table.at(i, 3);
  }
  CHECK(squares / 1000 == doctest::Approx(1.0).epsilon(0.15));
}

TEST_CASE("label, layer, expert, seed, row and column all matter") {
  std::set<float> values;
  const auto add = [&](std::uint64_t seed, WeightMatrix matrix, std::int64_t r, std::int64_t c) {
    values.insert(RandomWeights(seed, matrix, WeightLaw::matrix).at(r, c));
  };
  add(1, {"a", 0, 0, 4, 4}, 0, 0);
  add(2, {"a", 0, 0, 4, 4}, 0, 0);
  add(1, {"b", 0, 0, 4, 4}, 0, 0);
  add(1, {"a", 1, 0, 4, 4}, 0, 0);
  add(1, {"a", 0, 1, 4, 4}, 0, 0);
  add(1, {"a", 0, 0, 4, 4}, 1, 0);
  add(1, {"a", 0, 0, 4, 4}, 0, 1);
  CHECK(values.size() == 7);
}

TEST_CASE("tokens lie in the vocabulary, use all of it, and differ by micro-batch, replica and position") {
  std::set<std::int32_t> seen;
  int equal = 0;
  for (std::int64_t i = 0; i < 400; ++i) {
    const auto token = random_token(1, 0, 0, i, 20);
    CHECK(token >= 0);
    CHECK(token < 20);
    seen.insert(token);
    equal += token == random_token(1, 1, 0, i, 20);
    equal += token == random_token(1, 0, 1, i, 20);
    equal += token == random_token(2, 0, 0, i, 20);
  }
  CHECK(seen.size() == 20);
  CHECK(equal < 120);  // 60 expected of 1200 by chance
}

}  // namespace fabricast::random_values_test
