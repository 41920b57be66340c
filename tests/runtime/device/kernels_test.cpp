// Kernels through their launchers, the device's threads run by the host, against the host backend's kernels: both precisions, widths that allow
// 16-byte accesses and widths that do not, more elements than threads.
#include "runtime/cuda/kernels.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>

#include "runtime/cuda/cuda_api.hpp"
#include "runtime/host_attention.hpp"
#include "runtime/host_elementwise.hpp"
#include "runtime/host_routing.hpp"
#include "strategies/ir/split_mix.hpp"

namespace fabricast::kernels_test {

using namespace fabricast;
using namespace fabricast::runtime;
using cuda::Rows;

namespace {

constexpr std::int64_t widths[] = {8, 5, 2056};   // 2056: 257 packs of bf16

template <class Element>
struct Owned {
  std::vector<Element> values;
  std::int64_t rows, columns;

  Owned(std::int64_t r, std::int64_t c, std::uint64_t seed = 0) : values(static_cast<std::size_t>(r * c)), rows(r), columns(c) {
    ir::SplitMix64 random(seed);
    for (Element& value : values) store(static_cast<float>(random.next() >> 40U) * 0x1p-23F - 1.0F, value);
  }
  [[nodiscard]] Matrix<Element> view() { return {values.data(), rows, columns, columns}; }
  [[nodiscard]] std::byte* bytes() { return reinterpret_cast<std::byte*>(values.data()); }
  [[nodiscard]] Rows on_device() { return {bytes(), rows, columns, sizeof(Element) == 2}; }
};

/// Largest difference, in units of the storage's last place of 1.
template <class Element>
float difference(const Owned<Element>& a, const Owned<Element>& b) {
  float largest = 0.0F;
  for (std::size_t i = 0; i < a.values.size(); ++i) largest = std::max(largest, std::abs(to_float(a.values[i]) - to_float(b.values[i])));
  return largest / (sizeof(Element) == 2 ? 0x1p-8F : 0x1p-24F);
}

/// Calls body(stream) and waits.
template <class Body>
void on_stream(Body body) {
  const cuda::Stream stream = cuda::make_stream(cuda::Priority::low);
  body(stream.get());
  cuda::check(cudaStreamSynchronize(stream.get()));
}

}  // namespace

TEST_CASE_TEMPLATE("elementwise kernels", Element, float, Bf16) {
  for (const std::int64_t width : widths) {
    CAPTURE(width);
    Owned<Element> a(3, width, 1), b(3, width, 2), wide(3, 2 * width, 3), weight(1, width, 4), out(3, width, 5), expected(3, width);
    on_stream([&](auto stream) { cuda::launch_add(a.on_device(), b.on_device(), out.on_device(), stream); });
    add(a.view(), b.view(), expected.view());
    CHECK(difference(out, expected) == 0.0F);
    on_stream([&](auto stream) { cuda::launch_silu_gate(wide.on_device(), out.on_device(), stream); });
    silu_gate(wide.view(), expected.view());
    CHECK(difference(out, expected) <= 1.0F);
    on_stream([&](auto stream) { cuda::launch_gelu(a.on_device(), out.on_device(), stream); });
    gelu(a.view(), expected.view());
    CHECK(difference(out, expected) <= 1.0F);
    on_stream([&](auto stream) { cuda::launch_rms_norm(a.on_device(), weight.bytes(), norm_epsilon, out.on_device(), stream); });
    rms_norm(a.view(), weight.values.data(), expected.view());
    CHECK(difference(out, expected) <= (sizeof(Element) == 2 ? 2.0F : 40.0F));   // sums of 2056 squares in another order
  }
}

TEST_CASE_TEMPLATE("rotary embedding: the first heads only, in place, positions counted per sequence", Element, float, Bf16) {
  for (const std::int64_t head_dim : {16, 6}) {
    Owned<Element> qk(7, 5 * head_dim, 1), expected = qk;
    const std::vector<Turn> turns = rotary_turns(4, head_dim);
    on_stream([&](auto stream) { cuda::launch_rotate(qk.on_device(), &turns[0].cosine, 3, head_dim, 4, stream); });
    rotate(expected.view(), 3 * head_dim, head_dim, 4);
    CHECK(difference(qk, expected) <= 1.0F);
  }
}

TEST_CASE_TEMPLATE("embedding: rows of the shard, 0 for ids of other ranks", Element, float, Bf16) {
  for (const std::int64_t width : widths) {
    Owned<Element> table(4, width, 1), out(5, width, 2), expected(5, width);
    const std::vector<std::int32_t> ids{10, 13, 9, 14, 12};
    on_stream([&](auto stream) { cuda::launch_embed(ids.data(), table.on_device(), 10, out.on_device(), stream); });
    embed(ids, table.view(), 10, expected.view());
    CHECK(difference(out, expected) == 0.0F);
  }
}

TEST_CASE_TEMPLATE("attention: whole and part blocks of queries and keys, heads shared, causal and not", Element, float, Bf16) {
  for (const std::int64_t head_dim : {64, 128, 24}) {
    for (const bool causal : {true, false}) {
      for (const std::int64_t length : {1, 64, 131}) {
        CAPTURE(head_dim);
        CAPTURE(length);
        Owned<Element> qkv(2 * length, 8 * head_dim, 1), out(2 * length, 4 * head_dim, 2), expected(2 * length, 4 * head_dim);
        on_stream([&](auto stream) { cuda::launch_attention(qkv.on_device(), {2, length, 4, 2, head_dim, causal}, out.on_device(), stream); });
        attend(qkv.view(), {length, 4, 2, head_dim, causal}, expected.view());
        CHECK(difference(out, expected) <= (sizeof(Element) == 2 ? 2.0F : 40.0F));   // weights are rounded to bf16 on tensor cores
      }
    }
  }
}

TEST_CASE("router: softmax weights of the plan's experts, dropped choices 0") {
  Owned<float> in(6, 3, 1), weight(3, 40, 2), scores(6, 40);
  for (std::int64_t r = 0; r < 6; ++r) {
    for (std::int64_t e = 0; e < 40; ++e) {
      float sum = 0.0F;
      for (std::int64_t k = 0; k < 3; ++k) sum += in.values[static_cast<std::size_t>(r * 3 + k)] * weight.values[static_cast<std::size_t>(k * 40 + e)];
      scores.values[static_cast<std::size_t>(r * 40 + e)] = sum;
    }
  }
  const std::vector<std::int32_t> experts{0, 39, 5, -1, -1, -1, 7, 8, 1, 2, 38, 3};
  std::vector<cuda::Choice> out(12);
  std::vector<RouterChoice> expected(12);
  on_stream([&](auto stream) { cuda::launch_choose_experts({scores.values.data(), experts.data(), out.data(), 40, 2}, 6, stream); });
  route(in.view(), weight.view(), experts, Matrix<RouterChoice>{expected.data(), 6, 2, 2});
  for (std::size_t i = 0; i < out.size(); ++i) {
    CHECK(out[i].expert == expected[i].expert);
    CHECK(std::abs(out[i].weight - expected[i].weight) < 1e-6F);
  }
}

TEST_CASE_TEMPLATE("permutation and weighted sum, in 16-byte accesses and without", Element, float, Bf16) {
  for (const std::int64_t width : widths) {
    Owned<Element> in(4, width, 1), out(5, width, 2), sum(2, width, 3), expected(2, width);
    const std::vector<std::int32_t> rows{3, 0, 0, 2, 1}, places{2, -1, 0, 3};
    std::vector<cuda::Choice> choices{{0.25F, 0}, {0.5F, 1}, {0.75F, 2}, {0.125F, 3}};
    const std::int64_t row_bytes = width * static_cast<std::int64_t>(sizeof(Element));
    on_stream([&](auto stream) { cuda::launch_permute(in.bytes(), rows.data(), out.bytes(), 5, row_bytes, stream); });
    for (std::size_t i = 0; i < rows.size(); ++i) {
      CHECK(std::memcmp(out.bytes() + static_cast<std::int64_t>(i) * row_bytes, in.bytes() + rows[i] * row_bytes, static_cast<std::size_t>(row_bytes)) == 0);
    }
    on_stream([&](auto stream) { cuda::launch_sum_weighted(in.bytes(), places.data(), choices.data(), 2, sum.on_device(), stream); });
    auto* const host_choices = reinterpret_cast<RouterChoice*>(choices.data());
    static_assert(sizeof(RouterChoice) == sizeof(cuda::Choice));
    sum_weighted(in.view(), places, Matrix<RouterChoice>{host_choices, 2, 2, 2}, expected.view());
    CHECK(difference(sum, expected) == 0.0F);
  }
}

TEST_CASE("copies: any length, both ends aligned or not, nothing beside them written") {
  std::vector<std::byte> from(100), to(100, std::byte{0xEE});
  for (std::size_t i = 0; i < from.size(); ++i) from[i] = static_cast<std::byte>(i);
  const std::vector<cuda::Copy> copies{{from.data(), to.data(), 37}, {from.data() + 5, to.data() + 48, 20}, {from.data(), from.data(), 50}};
  on_stream([&](auto stream) { cuda::launch_copies(copies.data(), 3, stream); });
  for (std::size_t i = 0; i < to.size(); ++i) {
    const std::byte expected = i < 37 ? from[i] : i >= 48 && i < 68 ? from[i - 43] : std::byte{0xEE};
    CHECK(to[i] == expected);
  }
}

TEST_CASE_TEMPLATE("sum over members: in their order, rounded once, a slice beyond one launch row", Element, float, Bf16) {
  Owned<Element> a(1, 5000, 1), b(1, 5000, 2), c(1, 5000, 3), out(1, 4900, 4);
  const std::byte* const inputs[] = {a.bytes(), b.bytes(), c.bytes()};
  on_stream([&](auto stream) { cuda::launch_sum_members(inputs, 3, 100, out.on_device(), stream); });
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < 4900; ++i) {
    Element expected;
    store(0.0F + to_float(a.values[i + 100]) + to_float(b.values[i + 100]) + to_float(c.values[i + 100]), expected);
    wrong += to_float(out.values[i]) != to_float(expected);
  }
  CHECK(wrong == 0);
}

TEST_CASE_TEMPLATE("weights: runs of columns of the full matrix, either way round", Element, float, Bf16) {
  const RandomWeights matrix(5, {"w", 1, 0, 40, 40}, WeightLaw::matrix);
  cuda::WeightRuns runs{};
  runs.runs = 2;
  runs.first[0] = 4, runs.count[0] = 3, runs.first[1] = 20, runs.count[1] = 5;
  for (const bool transposed : {false, true}) {
    Owned<Element> out(6, 8, 1);
    on_stream([&](auto stream) { cuda::launch_fill_weights(matrix, runs, 2, transposed, out.on_device(), stream); });
    for (std::int64_t r = 0; r < 6; ++r) {
      for (std::int64_t i = 0; i < 8; ++i) {
        const std::int64_t column = i < 3 ? 4 + i : 20 + i - 3;
        const float value = transposed ? matrix.at(column, r + 2) : matrix.at(r + 2, column);
        CHECK(to_float(out.values[static_cast<std::size_t>(r * 8 + i)]) == rounded_to<Element>(value));
      }
    }
  }
}

TEST_CASE_TEMPLATE("random fill: from -1 to below 1, no two alike places, to the last byte", Element, float, Bf16) {
  Owned<Element> out(1, 9001), again(1, 9001);
  for (Owned<Element>* place : {&out, &again}) {
    on_stream([&](auto stream) { cuda::launch_fill_random(3, place->on_device(), stream); });
  }
  CHECK(difference(out, again) == 0.0F);
  double sum = 0, squares = 0;
  for (const Element value : out.values) {
    const double x = to_float(value);
    CHECK((x >= -1.0 && x < 1.0 + 0x1p-8));
    sum += x;
    squares += x * x;
  }
  // Uniform: mean 0 within 5 · √(1/3/n), variance 1/3 within 5 · √(4/45/n)
  CHECK(std::abs(sum / 9001) < 5 * std::sqrt(1.0 / 3 / 9001));
  CHECK(std::abs(squares / 9001 - 1.0 / 3) < 5 * std::sqrt(4.0 / 45 / 9001));
}

}  // namespace fabricast::kernels_test
