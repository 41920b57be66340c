#include "runtime/reference.hpp"

#include <Eigen/Core>

#include <cmath>
#include <stdexcept>
#include <string_view>

#include "runtime/bf16.hpp"
#include "runtime/random_values.hpp"

namespace fabricast::runtime {
namespace {

using RealMatrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

constexpr double epsilon = 1e-5;
constexpr double rope_base = 10000.0;

double reference_silu(double x) { return x / (1.0 + std::exp(-x)); }
double reference_gelu(double x) {
  return 0.5 * x * (1.0 + std::tanh(std::sqrt(2.0 / 3.14159265358979323846) * (x + 0.044715 * x * x * x)));
}

class Reference {
 public:
  Reference(const ModelShape& model, std::uint64_t seed, const ReferenceInput& input) : model_(model), seed_(seed), input_(input) {}

  RealMatrix logits() const {
    const RealMatrix table = weight("embedding_weight", 0, 0, model_.vocabulary, model_.d_model, WeightLaw::table);
    RealMatrix hidden(std::ssize(input_.tokens), model_.d_model);
    for (std::int64_t t = 0; t < hidden.rows(); ++t) hidden.row(t) = table.row(input_.tokens[static_cast<std::size_t>(t)]);
    for (std::int64_t layer = 0; layer < model_.layers; ++layer) {
      hidden += attention(layer, norm(hidden, "attention_norm_weight", layer));
      const RealMatrix normed = norm(hidden, "mlp_norm_weight", layer);
      hidden += model_.is_moe[static_cast<std::size_t>(layer)] ? experts(layer, normed) : dense(layer, normed);
    }
    const RealMatrix last = norm(hidden, "final_norm_weight", 0);
    const RealMatrix head =
        model_.tied_embeddings ? RealMatrix(table.transpose()) : weight("head_weight", 0, 0, model_.d_model, model_.vocabulary);
    return input_.head_on_all_tokens ? RealMatrix(last * head) : RealMatrix(last_tokens(last) * head);
  }

 private:
  RealMatrix weight(std::string_view label, std::int64_t layer, std::int64_t expert, std::int64_t rows, std::int64_t columns,
                WeightLaw law = WeightLaw::matrix) const {
    const RandomWeights values(seed_, {label, layer, expert, rows, columns}, law);
    const bool is_bf16 = model_.precision == hw::Precision::bf16;
    RealMatrix result(rows, columns);
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::int64_t c = 0; c < columns; ++c) result(r, c) = is_bf16 ? rounded_to<Bf16>(values.at(r, c)) : values.at(r, c);
    }
    return result;
  }

  RealMatrix norm(const RealMatrix& x, std::string_view label, std::int64_t layer) const {
    const RealMatrix scale = weight(label, layer, 0, 1, model_.d_model, WeightLaw::norm);
    RealMatrix result(x.rows(), x.cols());
    for (std::int64_t t = 0; t < x.rows(); ++t) {
      const double mean_square = x.row(t).squaredNorm() / static_cast<double>(x.cols());
      result.row(t) = x.row(t).cwiseProduct(scale.row(0)) / std::sqrt(mean_square + epsilon);
    }
    return result;
  }

  /// Pairs (i, i + d/2) of each head turn by position · base^(-2i/d).
  void rotate(RealMatrix& heads) const {
    const std::int64_t half = model_.d_head / 2;
    for (std::int64_t t = 0; t < heads.rows(); ++t) {
      for (std::int64_t first = 0; first < heads.cols(); first += model_.d_head) {
        for (std::int64_t i = 0; i < half; ++i) {
          const double frequency = std::pow(rope_base, -2.0 * static_cast<double>(i) / static_cast<double>(model_.d_head));
          const double angle = static_cast<double>(t % input_.sequence_length) * frequency;
          const double a = heads(t, first + i), b = heads(t, first + i + half);
          heads(t, first + i) = a * std::cos(angle) - b * std::sin(angle);
          heads(t, first + i + half) = b * std::cos(angle) + a * std::sin(angle);
        }
      }
    }
  }

  RealMatrix attention(std::int64_t layer, const RealMatrix& x) const {
    const std::int64_t q_width = model_.heads * model_.d_head, kv_width = model_.kv_heads * model_.d_head;
    const RealMatrix qkv = x * weight("qkv_weight", layer, 0, model_.d_model, q_width + 2 * kv_width);
    RealMatrix q = qkv.leftCols(q_width), k = qkv.middleCols(q_width, kv_width);
    const RealMatrix v = qkv.rightCols(kv_width);
    rotate(q);
    rotate(k);
    RealMatrix attended(x.rows(), q_width);
    for (std::int64_t first = 0; first < x.rows(); first += input_.sequence_length) {
      for (std::int64_t head = 0; head < model_.heads; ++head) {
        const std::int64_t column = head * model_.d_head, kv_column = head / (model_.heads / model_.kv_heads) * model_.d_head;
        const auto block = [&](const RealMatrix& m, std::int64_t c) { return m.block(first, c, input_.sequence_length, model_.d_head); };
        attended.block(first, column, input_.sequence_length, model_.d_head) =
            attend(block(q, column), block(k, kv_column), block(v, kv_column));
      }
    }
    return attended * weight("output_weight", layer, 0, q_width, model_.d_model);
  }

  /// softmax(q · kᵀ / √d) · v of one head of one sequence.
  RealMatrix attend(const RealMatrix& q, const RealMatrix& k, const RealMatrix& v) const {
    RealMatrix scores = q * k.transpose() / std::sqrt(static_cast<double>(model_.d_head));
    for (std::int64_t t = 0; t < scores.rows(); ++t) {
      const std::int64_t seen = model_.causal ? t + 1 : scores.cols();
      const double largest = scores.row(t).head(seen).maxCoeff();
      scores.row(t).head(seen) = (scores.row(t).head(seen).array() - largest).exp();
      scores.row(t).head(seen) /= scores.row(t).head(seen).sum();
      scores.row(t).tail(scores.cols() - seen).setZero();
    }
    return scores * v;
  }

  RealMatrix activate(const RealMatrix& up) const {
    if (!model_.gated) return up.unaryExpr(&reference_gelu);
    const std::int64_t width = up.cols() / 2;
    return up.leftCols(width).unaryExpr(&reference_silu).cwiseProduct(up.rightCols(width));
  }

  [[nodiscard]] std::int64_t up_width(std::int64_t d_ff) const { return model_.gated ? 2 * d_ff : d_ff; }

  RealMatrix dense(std::int64_t layer, const RealMatrix& x) const {
    const RealMatrix up = x * weight("mlp_gate_up_weight", layer, 0, model_.d_model, up_width(model_.d_ff));
    return activate(up) * weight("mlp_down_weight", layer, 0, model_.d_ff, model_.d_model);
  }

  /// Weights of the chosen experts: softmax over all, renormalised over those kept.
  std::vector<double> router_weights(const RealMatrix& scores, const std::vector<std::int32_t>& chosen) const {
    std::vector<double> weights(chosen.size(), 0.0);
    const auto top_k = static_cast<std::size_t>(model_.moe->top_k);
    for (std::size_t token = 0; token < chosen.size() / top_k; ++token) {
      const auto row = scores.row(static_cast<std::int64_t>(token));
      const Eigen::ArrayXd probabilities = (row.array() - row.maxCoeff()).exp() / (row.array() - row.maxCoeff()).exp().sum();
      double sum = 0.0;
      for (std::size_t j = token * top_k; j < (token + 1) * top_k; ++j) {
        weights[j] = chosen[j] < 0 ? 0.0 : probabilities(chosen[j]);
        sum += weights[j];
      }
      for (std::size_t j = token * top_k; j < (token + 1) * top_k && sum > 0.0; ++j) weights[j] /= sum;
    }
    return weights;
  }

  RealMatrix experts(std::int64_t layer, const RealMatrix& x) const {
    const MoeShape& moe = *model_.moe;
    const auto& chosen = input_.experts[static_cast<std::size_t>(layer)];
    const auto weights = router_weights(x * weight("router_weight", layer, 0, model_.d_model, moe.experts), chosen);
    RealMatrix out = RealMatrix::Zero(x.rows(), x.cols());
    for (std::int64_t expert = 0; expert < moe.experts; ++expert) {
      std::vector<std::int64_t> slots;
      for (std::size_t j = 0; j < chosen.size(); ++j) {
        if (chosen[j] == expert) slots.push_back(static_cast<std::int64_t>(j));
      }
      RealMatrix rows(std::ssize(slots), x.cols());
      for (std::int64_t i = 0; i < rows.rows(); ++i) rows.row(i) = x.row(slots[static_cast<std::size_t>(i)] / moe.top_k);
      const RealMatrix up = rows * weight("expert_gate_up_weight", layer, expert, model_.d_model, up_width(moe.d_ff));
      const RealMatrix down = activate(up) * weight("expert_down_weight", layer, expert, moe.d_ff, model_.d_model);
      for (std::int64_t i = 0; i < rows.rows(); ++i) {
        const std::int64_t slot = slots[static_cast<std::size_t>(i)];
        out.row(slot / moe.top_k) += weights[static_cast<std::size_t>(slot)] * down.row(i);
      }
    }
    return out;
  }

  RealMatrix last_tokens(const RealMatrix& x) const {
    RealMatrix result(x.rows() / input_.sequence_length, x.cols());
    for (std::int64_t s = 0; s < result.rows(); ++s) result.row(s) = x.row((s + 1) * input_.sequence_length - 1);
    return result;
  }

  const ModelShape& model_;
  std::uint64_t seed_;
  const ReferenceInput& input_;
};

void check(const ModelShape& model, const ReferenceInput& input) {
  const auto require = [](bool holds, const char* what) {
    if (!holds) throw std::invalid_argument(what);
  };
  const auto layers = static_cast<std::size_t>(model.layers);
  require(input.sequence_length > 0 && std::ssize(input.tokens) % input.sequence_length == 0, "reference: whole sequences");
  require(model.is_moe.size() >= layers && input.experts.size() >= layers, "reference: a kind and experts for each layer");
  for (std::size_t layer = 0; layer < layers; ++layer) {
    if (!model.is_moe[layer]) continue;
    require(model.moe && std::ssize(input.experts[layer]) == std::ssize(input.tokens) * model.moe->top_k,
            "reference: experts for each token");
  }
}

}  // namespace

std::vector<double> reference_logits(const ModelShape& model, std::uint64_t seed, const ReferenceInput& input) {
  check(model, input);
  const RealMatrix logits = Reference(model, seed, input).logits();
  return {logits.data(), logits.data() + logits.size()};
}

}  // namespace fabricast::runtime
