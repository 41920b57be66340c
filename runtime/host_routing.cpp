#include "runtime/host_routing.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

namespace fabricast::runtime {
namespace {

template <class Element>
void add_products(const Element* in, const Matrix<Element>& weight, std::span<float> scores) {
  std::fill(scores.begin(), scores.end(), 0.0F);
  for (std::int64_t k = 0; k < weight.rows; ++k) {
    const float x = to_float(in[k]);
    const Element* const row = weight.row(k);
    for (std::size_t e = 0; e < scores.size(); ++e) scores[e] += x * to_float(row[e]);
  }
}

void soften(std::span<float> scores) {
  const float maximum = *std::max_element(scores.begin(), scores.end());
  float sum = 0.0F;
  for (float& score : scores) sum += score = std::exp(score - maximum);
  for (float& score : scores) score /= sum;
}

void choose(std::span<const float> probabilities, std::span<const std::int32_t> experts, RouterChoice* out) {
  const auto probability = [&](std::int32_t expert) { return expert < 0 ? 0.0F : probabilities[static_cast<std::size_t>(expert)]; };
  float sum = 0.0F;
  for (const std::int32_t expert : experts) sum += probability(expert);
  for (std::size_t j = 0; j < experts.size(); ++j) out[j] = {sum > 0.0F ? probability(experts[j]) / sum : 0.0F, experts[j]};
}

}  // namespace

template <class Element>
void route(const Matrix<Element>& in, const Matrix<Element>& weight, std::span<const std::int32_t> experts,
           const Matrix<RouterChoice>& out) {
  const auto top_k = static_cast<std::size_t>(out.columns);
  require(in.rows == out.rows && experts.size() == static_cast<std::size_t>(out.rows) * top_k, "router: experts for each token");
  require(in.columns == weight.rows, "router: the inner sizes agree");
  std::vector<float> scores(static_cast<std::size_t>(weight.columns));
  for (std::int64_t r = 0; r < in.rows; ++r) {
    add_products(in.row(r), weight, std::span(scores));
    soften(scores);
    choose(scores, experts.subspan(static_cast<std::size_t>(r) * top_k, top_k), out.row(r));
  }
}

void permute(const View& in, std::span<const std::int32_t> rows, const View& out) {
  require(in.row_bytes == out.row_bytes && out.rows == static_cast<std::int64_t>(rows.size()), "permutation: a row read for each written");
  const auto width = static_cast<std::size_t>(out.row_bytes);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    require(rows[i] >= 0 && rows[i] < in.rows, "permutation: rows of its input");
    std::memcpy(out.data + i * width, in.data + static_cast<std::size_t>(rows[i]) * width, width);
  }
}

template <class Element>
void sum_weighted(const Matrix<Element>& in, std::span<const std::int32_t> places, const Matrix<RouterChoice>& choices,
                  const Matrix<Element>& out) {
  const auto top_k = static_cast<std::size_t>(choices.columns);
  require(choices.rows == out.rows && places.size() == static_cast<std::size_t>(out.rows) * top_k, "weighted sum: a place for each choice");
  require(in.columns == out.columns, "weighted sum: equal widths");
  std::vector<float> sums(static_cast<std::size_t>(out.columns));
  for (std::int64_t token = 0; token < out.rows; ++token) {
    std::fill(sums.begin(), sums.end(), 0.0F);
    for (std::size_t j = 0; j < top_k; ++j) {
      const std::int32_t place = places[static_cast<std::size_t>(token) * top_k + j];
      if (place < 0) continue;
      require(place < in.rows, "weighted sum: rows of its input");
      const float weight = choices.row(token)[j].weight;
      const Element* const from = in.row(place);
      for (std::size_t c = 0; c < sums.size(); ++c) sums[c] += weight * to_float(from[c]);
    }
    Element* const to = out.row(token);
    for (std::size_t c = 0; c < sums.size(); ++c) store(sums[c], to[c]);
  }
}

#define FABRICAST_INSTANTIATE(Element)                                                                                    \
  template void route<Element>(const Matrix<Element>&, const Matrix<Element>&, std::span<const std::int32_t>,             \
                               const Matrix<RouterChoice>&);                                                              \
  template void sum_weighted<Element>(const Matrix<Element>&, std::span<const std::int32_t>, const Matrix<RouterChoice>&, \
                                      const Matrix<Element>&);
FABRICAST_INSTANTIATE(float)
FABRICAST_INSTANTIATE(Bf16)
#undef FABRICAST_INSTANTIATE

}  // namespace fabricast::runtime
