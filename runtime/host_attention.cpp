#include "runtime/host_attention.hpp"

#include <Eigen/Core>

#include <algorithm>
#include <cmath>
#include <limits>

namespace fabricast::runtime {
namespace {

using FloatRows = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

constexpr std::int64_t query_block = 64, key_block = 128;  // a block of scores, 32 KB in fp32, stays in the first-level cache

template <class Element>
FloatRows head_of(const Matrix<Element>& m, std::int64_t first_row, std::int64_t rows, std::int64_t first_column, std::int64_t columns) {
  FloatRows head(rows, columns);
  for (std::int64_t r = 0; r < rows; ++r) {
    const Element* const from = m.row(first_row + r) + first_column;
    for (std::int64_t c = 0; c < columns; ++c) head(r, c) = to_float(from[c]);
  }
  return head;
}

/// One block of queries against the keys block by block: exp(scores - running maximum), its sum, and the weighted values so far
/// (Milakov and Gimelshein 2018; Dao et al. 2022).
class QueryBlock {
 public:
  QueryBlock(FloatRows queries, std::int64_t first, bool causal)
      : queries_(std::move(queries)),
        first_(first),
        causal_(causal),
        maximum_(Eigen::VectorXf::Constant(queries_.rows(), -std::numeric_limits<float>::infinity())),
        sum_(Eigen::VectorXf::Zero(queries_.rows())),
        values_(FloatRows::Zero(queries_.rows(), queries_.cols())) {}

  /// Keys from here on are hidden from every query of the block.
  [[nodiscard]] std::int64_t visible(std::int64_t keys) const { return causal_ ? std::min(keys, first_ + queries_.rows()) : keys; }

  void absorb(const FloatRows& keys, const FloatRows& values, std::int64_t first, std::int64_t count) {
    scores_.noalias() = queries_ * keys.middleRows(first, count).transpose();
    if (causal_) hide_later_keys(first, count);
    const Eigen::VectorXf maximum = maximum_.cwiseMax(scores_.rowwise().maxCoeff());
    const Eigen::ArrayXf shrink = (maximum_ - maximum).array().exp();
    scores_ = (scores_.colwise() - maximum).array().exp();
    sum_ = sum_.array() * shrink + scores_.rowwise().sum().array();
    values_.array().colwise() *= shrink;
    values_.noalias() += scores_ * values.middleRows(first, count);
    maximum_ = maximum;
  }

  template <class Element>
  void write(const Matrix<Element>& out, std::int64_t first_row, std::int64_t first_column) const {
    for (std::int64_t r = 0; r < values_.rows(); ++r) {
      Element* const to = out.row(first_row + r) + first_column;
      for (std::int64_t c = 0; c < values_.cols(); ++c) store(values_(r, c) / sum_(r), to[c]);
    }
  }

 private:
  void hide_later_keys(std::int64_t first, std::int64_t count) {
    for (std::int64_t r = 0; r < scores_.rows(); ++r) {
      const std::int64_t seen = std::clamp<std::int64_t>(first_ + r + 1 - first, 0, count);
      scores_.row(r).tail(count - seen).setConstant(-std::numeric_limits<float>::infinity());
    }
  }

  FloatRows queries_;
  std::int64_t first_;
  bool causal_;
  Eigen::VectorXf maximum_, sum_;
  FloatRows values_, scores_;
};

template <class Element>
void attend_head(const Matrix<Element>& qkv, const AttentionShape& s, std::int64_t first_row, std::int64_t head,
                 const Matrix<Element>& out) {
  const std::int64_t kv_head = head * s.kv_heads / s.heads;
  const std::int64_t key_column = (s.heads + kv_head) * s.head_dim, value_column = key_column + s.kv_heads * s.head_dim;
  const FloatRows keys = head_of(qkv, first_row, s.sequence_length, key_column, s.head_dim);
  const FloatRows values = head_of(qkv, first_row, s.sequence_length, value_column, s.head_dim);
  const float scale = 1.0F / std::sqrt(static_cast<float>(s.head_dim));
  for (std::int64_t first = 0; first < s.sequence_length; first += query_block) {
    const std::int64_t count = std::min(query_block, s.sequence_length - first);
    QueryBlock block(scale * head_of(qkv, first_row + first, count, head * s.head_dim, s.head_dim), first, s.causal);
    const std::int64_t visible = block.visible(s.sequence_length);
    for (std::int64_t key = 0; key < visible; key += key_block) block.absorb(keys, values, key, std::min(key_block, visible - key));
    block.write(out, first_row + first, head * s.head_dim);
  }
}

}  // namespace

template <class Element>
void attend(const Matrix<Element>& qkv, const AttentionShape& shape, const Matrix<Element>& out) {
  require(qkv.columns == (shape.heads + 2 * shape.kv_heads) * shape.head_dim, "attention: q, k and v side by side");
  require(out.columns == shape.heads * shape.head_dim && out.rows == qkv.rows, "attention: one row out for each in");
  require(shape.sequence_length > 0 && qkv.rows % shape.sequence_length == 0, "attention: whole sequences");
  for (std::int64_t first = 0; first < qkv.rows; first += shape.sequence_length) {
    for (std::int64_t head = 0; head < shape.heads; ++head) attend_head(qkv, shape, first, head, out);
  }
}

template void attend<float>(const Matrix<float>&, const AttentionShape&, const Matrix<float>&);
template void attend<Bf16>(const Matrix<Bf16>&, const AttentionShape&, const Matrix<Bf16>&);

}  // namespace fabricast::runtime
