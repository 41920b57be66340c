// Kernels of the host against plain loops and closed forms.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "runtime/host_attention.hpp"
#include "runtime/host_elementwise.hpp"
#include "runtime/host_gemm.hpp"
#include "runtime/host_routing.hpp"
#include "strategies/ir/split_mix.hpp"

namespace fabricast::host_kernels_test {

using namespace fabricast;
using namespace fabricast::runtime;

namespace {

/// A matrix that owns its elements.
template <class Element>
struct Owned {
  std::vector<Element> values;
  std::int64_t rows, columns;

  Owned(std::int64_t r, std::int64_t c, std::uint64_t seed = 0) : values(static_cast<std::size_t>(r * c)), rows(r), columns(c) {
    ir::SplitMix64 random(seed);
    for (Element& value : values) store(static_cast<float>(random.next() >> 40U) * 0x1p-23F - 1.0F, value);
  }
  [[nodiscard]] Matrix<Element> view() { return {values.data(), rows, columns, columns}; }
  [[nodiscard]] double at(std::int64_t r, std::int64_t c) const { return to_float(values[static_cast<std::size_t>(r * columns + c)]); }
};

template <class Element>
constexpr double unit_roundoff = std::is_same_v<Element, float> ? 0x1p-24 : 0x1p-8;

}  // namespace

TEST_CASE("bf16 rounds to nearest, ties to even, and keeps infinities and not-a-numbers") {
  CHECK(rounded_to<Bf16>(1.0F) == 1.0F);
  CHECK(rounded_to<Bf16>(1.0F + 0x1p-8F) == 1.0F);                    // a tie, down to even
  CHECK(rounded_to<Bf16>(1.0F + 3 * 0x1p-8F) == 1.0F + 0x1p-6F);      // a tie, up to even
  CHECK(rounded_to<Bf16>(1.0F + 0x1p-8F + 0x1p-20F) == 1.0F + 0x1p-7F);
  CHECK(rounded_to<Bf16>(-3.14159F) == -3.140625F);
  CHECK(std::isinf(rounded_to<Bf16>(std::numeric_limits<float>::infinity())));
  CHECK(std::isinf(rounded_to<Bf16>(std::numeric_limits<float>::max())));
  CHECK(std::isnan(rounded_to<Bf16>(std::numeric_limits<float>::quiet_NaN())));
}

TEST_CASE_TEMPLATE("matrix product: Σ in · weight, for odd sizes and beyond a panel, weight either way round", Element, float, Bf16) {
  const std::vector<std::array<std::int64_t, 3>> sizes{{1, 1, 1}, {1, 7, 33}, {5, 3, 300}, {300, 270, 17}, {3, 4, 0}, {0, 4, 3}};
  for (const auto& [m, n, k] : sizes) {
    for (const bool transposed : {false, true}) {
      Owned<Element> in(m, k, 1), weight(transposed ? n : k, transposed ? k : n, 2), out(m, n, 3);
      multiply(in.view(), weight.view(), transposed, out.view());
      std::int64_t beyond = 0;
      for (std::int64_t r = 0; r < m; ++r) {
        for (std::int64_t c = 0; c < n; ++c) {
          double sum = 0, size = 0;
          for (std::int64_t i = 0; i < k; ++i) {
            const double product = in.at(r, i) * (transposed ? weight.at(c, i) : weight.at(i, c));
            sum += product;
            size += std::abs(product);
          }
          // |fl(Σ) - Σ| <= k·u·Σ|products| in fp32 (Higham 2002, 3.1), and one rounding to storage
          const double bound = static_cast<double>(k + 1) * 0x1p-24 * size + unit_roundoff<Element> * std::abs(sum) * 1.01;
          beyond += !(std::abs(out.at(r, c) - sum) <= bound);
        }
      }
      CHECK(beyond == 0);
    }
  }
}

TEST_CASE("matrix product: rows may be strided") {
  Owned<float> in(6, 4, 1), weight(4, 5, 2), out(3, 5), all(6, 5);
  multiply(in.view(), weight.view(), false, all.view());
  multiply(Matrix<float>{in.values.data() + 4, 3, 4, 8}, weight.view(), false, out.view());
  for (std::int64_t r = 0; r < 3; ++r) {
    for (std::int64_t c = 0; c < 5; ++c) CHECK(out.at(r, c) == doctest::Approx(all.at(2 * r + 1, c)).epsilon(1e-6));
  }
}

TEST_CASE("matrix product: sizes that do not fit are refused") {
  Owned<float> in(2, 3), weight(4, 5), out(2, 5);
  CHECK_THROWS_AS(multiply(in.view(), weight.view(), false, out.view()), std::logic_error);
}

TEST_CASE_TEMPLATE("attention: softmax over the visible keys, over several blocks, heads sharing keys", Element, float, Bf16) {
  for (const bool causal : {true, false}) {
    const AttentionShape shape{150, 4, 2, 6, causal};
    Owned<Element> qkv(300, 8 * 6, 5), out(300, 24);
    attend(qkv.view(), shape, out.view());
    for (std::int64_t row = 0; row < 300; row += 7) {
      const std::int64_t first = row / 150 * 150, last = causal ? row + 1 : first + 150;
      for (std::int64_t head = 0; head < 4; ++head) {
        std::vector<double> weights, value(6, 0.0);
        double sum = 0;
        for (std::int64_t key = first; key < last; ++key) {
          double score = 0;
          for (std::int64_t i = 0; i < 6; ++i) score += qkv.at(row, head * 6 + i) * qkv.at(key, (4 + head / 2) * 6 + i);
          weights.push_back(std::exp(score / std::sqrt(6.0)));
          sum += weights.back();
        }
        for (std::int64_t i = 0; i < 6; ++i) {
          double expected = 0;
          for (std::int64_t key = first; key < last; ++key) {
            expected += weights[static_cast<std::size_t>(key - first)] / sum * qkv.at(key, (6 + head / 2) * 6 + i);
          }
          CHECK(std::abs(out.at(row, head * 6 + i) - expected) < 2 * unit_roundoff<Element> + 4e-7);
        }
      }
    }
  }
}

TEST_CASE("embedding: rows of the table, 0 for ids of other ranks") {
  Owned<float> table(3, 2, 1), out(4, 2, 9);
  const std::vector<std::int32_t> ids{5, 4, 7, 6};
  embed(std::span(ids), table.view(), 4, out.view());
  for (std::int64_t c = 0; c < 2; ++c) {
    CHECK(out.at(0, c) == table.at(1, c));
    CHECK(out.at(1, c) == table.at(0, c));
    CHECK(out.at(2, c) == 0.0);
    CHECK(out.at(3, c) == table.at(2, c));
  }
}

TEST_CASE("norm: rows of mean square 1 / (1 + ε / mean square)") {
  Owned<float> in(3, 50, 4), out(3, 50);
  const std::vector<float> ones(50, 1.0F);
  rms_norm(in.view(), ones.data(), out.view());
  for (std::int64_t r = 0; r < 3; ++r) {
    double before = 0, after = 0;
    for (std::int64_t c = 0; c < 50; ++c) {
      before += in.at(r, c) * in.at(r, c) / 50;
      after += out.at(r, c) * out.at(r, c) / 50;
    }
    CHECK(after == doctest::Approx(before / (before + 1e-5)).epsilon(1e-5));
  }
}

TEST_CASE("rotary embedding: position 0 stays, lengths stay, and q·k depends on the distance only") {
  // Two heads of size 4; the same q and k at every position of a sequence of 5, twice; a third head is not turned.
  Owned<float> row(1, 12, 6), turned(10, 12);
  for (std::int64_t r = 0; r < 10; ++r) std::copy(row.values.begin(), row.values.end(), turned.values.begin() + r * 12);
  rotate(turned.view(), 8, 4, 5);
  const auto dot = [&](std::int64_t q, std::int64_t k) {
    double sum = 0;
    for (std::int64_t i = 0; i < 4; ++i) sum += turned.at(q, i) * turned.at(k, 4 + i);
    return sum;
  };
  for (std::int64_t c = 0; c < 12; ++c) {
    CHECK(turned.at(0, c) == row.at(0, c));
    CHECK(turned.at(5, c) == row.at(0, c));
    CHECK(turned.at(7, c) == turned.at(2, c));
    if (c >= 8) CHECK(turned.at(3, c) == row.at(0, c));
  }
  CHECK(dot(3, 1) == doctest::Approx(dot(2, 0)).epsilon(1e-5));
  CHECK(dot(4, 1) == doctest::Approx(dot(3, 0)).epsilon(1e-5));
  CHECK(std::abs(dot(3, 1) - dot(3, 0)) > 1e-3);
  // half-split: element 0 turns with element 2 by 1 radian a position
  CHECK(turned.at(1, 0) == doctest::Approx(row.at(0, 0) * std::cos(1.0) - row.at(0, 2) * std::sin(1.0)).epsilon(1e-5));
  CHECK(turned.at(1, 1) == doctest::Approx(row.at(0, 1) * std::cos(0.01) - row.at(0, 3) * std::sin(0.01)).epsilon(1e-5));
}

TEST_CASE("activations: known values") {
  Owned<float> in(1, 4), out(1, 2), plain(1, 4);
  in.values = {1.0F, -2.0F, 3.0F, 0.5F};
  silu_gate(in.view(), out.view());
  CHECK(out.at(0, 0) == doctest::Approx(3.0 * 0.7310586).epsilon(1e-6));       // silu(1) = 1/(1 + 1/e)
  CHECK(out.at(0, 1) == doctest::Approx(0.5 * -0.2384058).epsilon(1e-6));
  gelu(in.view(), plain.view());
  CHECK(plain.at(0, 0) == doctest::Approx(0.841192).epsilon(1e-5));            // the exact gelu(1) is 0.841345
  CHECK(plain.at(0, 1) == doctest::Approx(-0.045402).epsilon(1e-4));
}

TEST_CASE("router: softmax of the chosen, renormalised, dropped choices weigh nothing") {
  Owned<float> in(3, 5, 1), weight(5, 4, 2);
  std::vector<RouterChoice> choices(6);
  const std::vector<std::int32_t> experts{2, 0, 3, -1, -1, -1};
  route(in.view(), weight.view(), experts, Matrix<RouterChoice>{choices.data(), 3, 2, 2});
  const auto logit = [&](std::int64_t expert) {
    double sum = 0;
    for (std::int64_t i = 0; i < 5; ++i) sum += in.at(0, i) * weight.at(i, expert);
    return sum;
  };
  CHECK(choices[0].weight == doctest::Approx(std::exp(logit(2)) / (std::exp(logit(2)) + std::exp(logit(0)))).epsilon(1e-5));
  CHECK(choices[0].weight + choices[1].weight == doctest::Approx(1.0).epsilon(1e-6));
  CHECK(choices[2].weight == 1.0F);
  CHECK(choices[3].weight == 0.0F);
  CHECK(choices[4].weight == 0.0F);
  CHECK(choices[1].expert == 0);
  CHECK(choices[3].expert == -1);
}

TEST_CASE("permutation and its inverse give the rows back, a row outside is refused") {
  Owned<float> in(3, 2, 1), there(3, 2), back(3, 2);
  const auto view = [](Owned<float>& m) { return View{reinterpret_cast<std::byte*>(m.values.data()), m.rows, 8}; };
  permute(view(in), std::vector<std::int32_t>{2, 0, 1}, view(there));
  CHECK(there.at(0, 1) == in.at(2, 1));
  permute(view(there), std::vector<std::int32_t>{1, 2, 0}, view(back));
  CHECK(back.values == in.values);
  CHECK_THROWS_AS(permute(view(in), std::vector<std::int32_t>{0, 1, 3}, view(there)), std::logic_error);
}

TEST_CASE("weighted sum: weights times rows at their places, places without a row count nothing") {
  Owned<float> in(3, 2, 1), out(2, 2, 7);
  std::vector<RouterChoice> choices{{0.25F, 0}, {0.75F, 1}, {1.0F, 2}, {0.0F, -1}};
  sum_weighted(in.view(), std::vector<std::int32_t>{2, 0, 1, -1}, Matrix<RouterChoice>{choices.data(), 2, 2, 2}, out.view());
  CHECK(out.at(0, 0) == doctest::Approx(0.25 * in.at(2, 0) + 0.75 * in.at(0, 0)).epsilon(1e-6));
  CHECK(out.at(1, 1) == in.at(1, 1));
}

}  // namespace fabricast::host_kernels_test
