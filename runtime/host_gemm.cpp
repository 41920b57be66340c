#include "runtime/host_gemm.hpp"

#include <Eigen/Core>

#include <algorithm>
#include <vector>

namespace fabricast::runtime {
namespace {

using RowMajor = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using ConstMap = Eigen::Map<const RowMajor, 0, Eigen::OuterStride<>>;
using Map = Eigen::Map<RowMajor, 0, Eigen::OuterStride<>>;

ConstMap map(const Matrix<const float>& m) { return {m.data, m.rows, m.columns, Eigen::OuterStride<>(m.stride)}; }

void multiply_fp32(const Matrix<const float>& in, const Matrix<const float>& weight, bool transposed, const Matrix<float>& out) {
  Map result(out.data, out.rows, out.columns, Eigen::OuterStride<>(out.stride));
  if (transposed) {
    result.noalias() = map(in) * map(weight).transpose();
  } else {
    result.noalias() = map(in) * map(weight);
  }
}

/// A panel of a bf16 matrix in fp32.
class Panel {
 public:
  const Matrix<const float>& widen(const Matrix<Bf16>& m, std::int64_t first_row, std::int64_t rows, std::int64_t first_column,
                                   std::int64_t columns) {
    values_.resize(static_cast<std::size_t>(rows * columns));
    float* to = values_.data();
    for (std::int64_t r = 0; r < rows; ++r) {
      const Bf16* const from = m.row(first_row + r) + first_column;
      for (std::int64_t c = 0; c < columns; ++c) to[c] = to_float(from[c]);
      to += columns;
    }
    panel_ = {values_.data(), rows, columns, columns};
    return panel_;
  }

 private:
  std::vector<float> values_;
  Matrix<const float> panel_{};
};

// Panels of rows and of columns: with k = 4096, 4 MB of each in fp32, which stays in the outer caches, and large enough that widening,
// (m·k·n/256 + k·n) conversions, is little beside 2·m·n·k FLOP.
constexpr std::int64_t panel_width = 256;

void multiply_bf16(const Matrix<Bf16>& in, const Matrix<Bf16>& weight, bool transposed, const Matrix<Bf16>& out) {
  Panel in_panel, weight_panel;
  std::vector<float> products(static_cast<std::size_t>(std::min(panel_width, out.rows) * std::min(panel_width, out.columns)));
  for (std::int64_t column = 0; column < out.columns; column += panel_width) {
    const std::int64_t width = std::min(panel_width, out.columns - column);
    const auto& w =
        transposed ? weight_panel.widen(weight, column, width, 0, in.columns) : weight_panel.widen(weight, 0, in.columns, column, width);
    for (std::int64_t row = 0; row < out.rows; row += panel_width) {
      const std::int64_t height = std::min(panel_width, out.rows - row);
      multiply_fp32(in_panel.widen(in, row, height, 0, in.columns), w, transposed, {products.data(), height, width, width});
      for (std::int64_t r = 0; r < height; ++r) {
        Bf16* const to = out.row(row + r) + column;
        for (std::int64_t c = 0; c < width; ++c) store(products[static_cast<std::size_t>(r * width + c)], to[c]);
      }
    }
  }
}

}  // namespace

template <class Element>
void multiply(const Matrix<Element>& in, const Matrix<Element>& weight, bool weight_is_transposed, const Matrix<Element>& out) {
  require(in.rows == out.rows, "matrix product: as many rows out as in");
  require(in.columns == (weight_is_transposed ? weight.columns : weight.rows), "matrix product: the inner sizes agree");
  require(out.columns == (weight_is_transposed ? weight.rows : weight.columns), "matrix product: as many columns as the weight");
  if (out.rows == 0 || out.columns == 0) return;
  if constexpr (std::is_same_v<Element, float>) {
    multiply_fp32({in.data, in.rows, in.columns, in.stride}, {weight.data, weight.rows, weight.columns, weight.stride},
                  weight_is_transposed, out);
  } else {
    multiply_bf16(in, weight, weight_is_transposed, out);
  }
}

template void multiply<float>(const Matrix<float>&, const Matrix<float>&, bool, const Matrix<float>&);
template void multiply<Bf16>(const Matrix<Bf16>&, const Matrix<Bf16>&, bool, const Matrix<Bf16>&);

}  // namespace fabricast::runtime
