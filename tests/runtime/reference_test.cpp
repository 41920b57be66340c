// Properties of the reference itself that no executor can lend it.
#include "runtime/reference.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "runtime/bf16.hpp"
#include "runtime/random_values.hpp"

namespace fabricast::reference_test {

using namespace fabricast;
using namespace fabricast::runtime;

namespace {

ModelShape small() {
  ModelShape model;
  model.layers = 2;
  model.d_model = 8;
  model.heads = 2;
  model.kv_heads = 2;
  model.d_head = 4;
  model.vocabulary = 11;
  model.d_ff = 12;
  model.moe = MoeShape{4, 2, 6};
  model.is_moe = {true, false};
  return model;
}

ReferenceInput input_of(std::vector<std::int32_t> tokens, std::int64_t sequence_length) {
  ReferenceInput input{sequence_length, std::move(tokens), {{}, {}}, true};
  for (std::size_t t = 0; t < input.tokens.size(); ++t) {
    input.experts[0].push_back(static_cast<std::int32_t>(t % 4));
    input.experts[0].push_back(static_cast<std::int32_t>((t + 1) % 4));
  }
  return input;
}

std::vector<double> row(const std::vector<double>& logits, std::size_t token) {
  return {logits.begin() + static_cast<std::ptrdiff_t>(token * 11), logits.begin() + static_cast<std::ptrdiff_t>(token * 11 + 11)};
}

double distance(const std::vector<double>& a, const std::vector<double>& b) {
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
  return largest;
}

}  // namespace

TEST_CASE("without layers, logits are the normed embedding times the head") {
  ModelShape model = small();
  model.layers = 0;
  const auto logits = reference_logits(model, 3, input_of({4, 9}, 2));
  const RandomWeights table(3, {"embedding_weight", 0, 0, 11, 8}, WeightLaw::table),
      head(3, {"head_weight", 0, 0, 8, 11}, WeightLaw::matrix);
  const RandomWeights norm(3, {"final_norm_weight", 0, 0, 1, 8}, WeightLaw::norm);
  double mean_square = 0, expected = 0;
  for (std::int64_t i = 0; i < 8; ++i) mean_square += static_cast<double>(table.at(9, i)) * table.at(9, i) / 8;
  for (std::int64_t i = 0; i < 8; ++i) expected += table.at(9, i) / std::sqrt(mean_square + 1e-5) * norm.at(0, i) * head.at(i, 5);
  CHECK(row(logits, 1)[5] == doctest::Approx(expected).epsilon(1e-12));
}

TEST_CASE("causal: a token moves the logits of itself and later ones of its sequence, and of no other") {
  const auto before = reference_logits(small(), 1, input_of({1, 2, 3, 4, 5, 6}, 3));
  const auto after = reference_logits(small(), 1, input_of({1, 7, 3, 4, 5, 6}, 3));
  CHECK(distance(row(before, 0), row(after, 0)) == 0.0);
  CHECK(distance(row(before, 1), row(after, 1)) > 1e-3);
  CHECK(distance(row(before, 2), row(after, 2)) > 1e-6);
  for (std::size_t t = 3; t < 6; ++t) CHECK(distance(row(before, t), row(after, t)) == 0.0);
}

TEST_CASE("not causal: a token moves earlier ones of its sequence, too") {
  ModelShape model = small();
  model.causal = false;
  const auto before = reference_logits(model, 1, input_of({1, 2, 3, 4}, 2));
  const auto after = reference_logits(model, 1, input_of({1, 7, 3, 4}, 2));
  CHECK(distance(row(before, 0), row(after, 0)) > 1e-6);
  CHECK(distance(row(before, 2), row(after, 2)) == 0.0);
}

TEST_CASE("experts, positions and seeds matter, the order of choices does not") {
  const ReferenceInput input = input_of({1, 2, 3, 4}, 4);
  const auto logits = reference_logits(small(), 1, input);
  ReferenceInput other = input;
  other.experts[0][6] = 2;
  other.experts[0][7] = 1;
  CHECK(distance(row(logits, 3), row(reference_logits(small(), 1, other), 3)) > 1e-3);
  other = input;
  std::swap(other.experts[0][4], other.experts[0][5]);
  CHECK(distance(logits, reference_logits(small(), 1, other)) < 1e-12);
  CHECK(distance(logits, reference_logits(small(), 2, input)) > 1e-3);
  CHECK(distance(row(logits, 0), row(reference_logits(small(), 1, input_of({2, 1, 3, 4}, 4)), 1)) > 1e-6);
}

TEST_CASE("a token whose choices are all dropped passes the expert layer by, of two, the kept one weighs 1") {
  ReferenceInput dropped = input_of({1, 2}, 2), one = dropped;
  dropped.experts[0] = {-1, -1, -1, -1};
  one.experts[0] = {3, -1, 3, -1};
  const auto none = reference_logits(small(), 1, dropped), kept = reference_logits(small(), 1, one);
  CHECK(distance(none, kept) > 1e-3);
  one.experts[0] = {-1, 3, -1, 3};
  CHECK(distance(kept, reference_logits(small(), 1, one)) < 1e-12);
}

TEST_CASE("the head on last tokens gives the last row of each sequence") {
  ReferenceInput input = input_of({1, 2, 3, 4, 5, 6}, 3);
  const auto all = reference_logits(small(), 1, input);
  input.head_on_all_tokens = false;
  const auto last = reference_logits(small(), 1, input);
  REQUIRE(last.size() == 22);
  CHECK(distance(row(last, 0), row(all, 2)) < 1e-12);
  CHECK(distance(row(last, 1), row(all, 5)) < 1e-12);
}

TEST_CASE("in bf16 the model is the rounded weights: near the other, not equal") {
  ModelShape model = small();
  const auto exact = reference_logits(model, 1, input_of({1, 2, 3, 4}, 4));
  model.precision = hw::Precision::bf16;
  const double d = distance(exact, reference_logits(model, 1, input_of({1, 2, 3, 4}, 4)));
  CHECK(d > 1e-4);
  CHECK(d < 0.1);
}

}  // namespace fabricast::reference_test
