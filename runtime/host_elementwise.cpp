#include "runtime/host_elementwise.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace fabricast::runtime {
namespace {

float silu(float x) { return x / (1.0F + std::exp(-x)); }

float gelu(float x) {
  constexpr float scale = 0.79788456F;  // √(2/π)
  return 0.5F * x * (1.0F + std::tanh(scale * (x + 0.044715F * x * x * x)));
}

Turn turn(std::int64_t position, std::int64_t i, std::int64_t head_dim) {
  const double angle = static_cast<double>(position) * std::pow(rope_base, -2.0 * static_cast<double>(i) / static_cast<double>(head_dim));
  return {static_cast<float>(std::cos(angle)), static_cast<float>(std::sin(angle))};
}

}  // namespace

std::vector<Turn> rotary_turns(std::int64_t positions, std::int64_t head_dim) {
  const std::int64_t half = head_dim / 2;
  std::vector<Turn> turns(static_cast<std::size_t>(positions * half));
  for (std::int64_t p = 0; p < positions; ++p) {
    for (std::int64_t i = 0; i < half; ++i) turns[static_cast<std::size_t>(p * half + i)] = turn(p, i, head_dim);
  }
  return turns;
}

template <class Element>
void embed(std::span<const std::int32_t> ids, const Matrix<Element>& table, std::int64_t first_id, const Matrix<Element>& out) {
  require(table.columns == out.columns && out.rows == static_cast<std::int64_t>(ids.size()), "embedding: a row of the table for each id");
  for (std::int64_t r = 0; r < out.rows; ++r) {
    const std::int64_t place = ids[static_cast<std::size_t>(r)] - first_id;
    if (place >= 0 && place < table.rows) {
      std::copy_n(table.row(place), out.columns, out.row(r));
    } else {
      std::fill_n(out.row(r), out.columns, Element{});
    }
  }
}

template <class Element>
void rms_norm(const Matrix<Element>& in, const Element* weight, const Matrix<Element>& out) {
  require(in.columns == out.columns && in.rows == out.rows, "norm: one row out for each in");
  for (std::int64_t r = 0; r < in.rows; ++r) {
    const Element* const from = in.row(r);
    Element* const to = out.row(r);
    float squares = 0.0F;
    for (std::int64_t c = 0; c < in.columns; ++c) squares += to_float(from[c]) * to_float(from[c]);
    const float scale = 1.0F / std::sqrt(squares / static_cast<float>(in.columns) + norm_epsilon);
    for (std::int64_t c = 0; c < in.columns; ++c) store(to_float(from[c]) * scale * to_float(weight[c]), to[c]);
  }
}

template <class Element>
void rotate(const Matrix<Element>& qk, std::int64_t width, std::int64_t head_dim, std::int64_t sequence_length) {
  require(head_dim > 0 && head_dim % 2 == 0, "rotary embedding: heads of an even size");
  require(width % head_dim == 0 && width <= qk.columns, "rotary embedding: whole heads");
  require(sequence_length > 0, "rotary embedding: a sequence length");
  const std::int64_t half = head_dim / 2;
  const std::vector<Turn> turns = rotary_turns(std::min(sequence_length, qk.rows), head_dim);
  for (std::int64_t r = 0; r < qk.rows; ++r) {
    const Turn* const turns_of_row = turns.data() + r % sequence_length * half;
    for (Element* head = qk.row(r); head < qk.row(r) + width; head += head_dim) {
      for (std::int64_t i = 0; i < half; ++i) {
        const float a = to_float(head[i]), b = to_float(head[i + half]);
        const auto [cosine, sine] = turns_of_row[i];
        store(a * cosine - b * sine, head[i]);
        store(b * cosine + a * sine, head[i + half]);
      }
    }
  }
}

template <class Element>
void add(const Matrix<Element>& a, const Matrix<Element>& b, const Matrix<Element>& out) {
  require(a.rows == out.rows && b.rows == out.rows && a.columns == out.columns && b.columns == out.columns, "residual: equal shapes");
  for (std::int64_t i = 0; i < out.rows * out.columns; ++i) store(to_float(a.data[i]) + to_float(b.data[i]), out.data[i]);
}

template <class Element>
void silu_gate(const Matrix<Element>& in, const Matrix<Element>& out) {
  require(in.columns == 2 * out.columns && in.rows == out.rows, "gated activation: gate and up side by side");
  for (std::int64_t r = 0; r < out.rows; ++r) {
    const Element *const gate = in.row(r), *const up = gate + out.columns;
    Element* const to = out.row(r);
    for (std::int64_t c = 0; c < out.columns; ++c) store(silu(to_float(gate[c])) * to_float(up[c]), to[c]);
  }
}

template <class Element>
void gelu(const Matrix<Element>& in, const Matrix<Element>& out) {
  require(in.columns == out.columns && in.rows == out.rows, "activation: equal shapes");
  for (std::int64_t i = 0; i < out.rows * out.columns; ++i) store(gelu(to_float(in.data[i])), out.data[i]);
}

#define FABRICAST_INSTANTIATE(Element)                                                                                                    \
  template void embed<Element>(std::span<const std::int32_t>, const Matrix<Element>&, std::int64_t, const Matrix<Element>&);              \
  template void rms_norm<Element>(const Matrix<Element>&, const Element*, const Matrix<Element>&);                                        \
  template void rotate<Element>(const Matrix<Element>&, std::int64_t, std::int64_t, std::int64_t);                                        \
  template void add<Element>(const Matrix<Element>&, const Matrix<Element>&, const Matrix<Element>&);                                     \
  template void silu_gate<Element>(const Matrix<Element>&, const Matrix<Element>&);                                                       \
  template void gelu<Element>(const Matrix<Element>&, const Matrix<Element>&);
FABRICAST_INSTANTIATE(float)
FABRICAST_INSTANTIATE(Bf16)
#undef FABRICAST_INSTANTIATE

}  // namespace fabricast::runtime
