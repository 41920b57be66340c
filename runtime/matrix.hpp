// Rows of a buffer as a matrix of elements, and the choice of the element type. Knows no kernels.
#pragma once

#include <cassert>
#include <cstdint>
#include <stdexcept>
#include <string>

#include "hardware_models/kernels.hpp"
#include "runtime/bf16.hpp"
#include "runtime/bound_op.hpp"

namespace fabricast::runtime {

/// Row-major; rows are `stride` elements apart.
template <class Element>
struct Matrix {
  Element* data;
  std::int64_t rows, columns, stride;

  [[nodiscard]] Element* row(std::int64_t index) const {
    assert(index >= 0 && index < rows && "a row of the matrix");
    return data + index * stride;
  }
};

template <class Element>
[[nodiscard]] Matrix<Element> as_matrix(const View& view) {
  const std::int64_t columns = view.row_bytes / static_cast<std::int64_t>(sizeof(Element));
  return {reinterpret_cast<Element*>(view.data), view.rows, columns, columns};
}

/// Refuses work whose buffers are not as large as its shape says.
inline void require(bool holds, const char* what) {
  if (!holds) throw std::logic_error(what);
}

/// Calls kernel(Element{}) with the storage type of the precision.
template <class Kernel>
void with_element(hw::Precision precision, Kernel&& kernel) {
  switch (precision) {
    case hw::Precision::fp32: return kernel(float{});
    case hw::Precision::bf16: return kernel(Bf16{});
    case hw::Precision::fp16:
    case hw::Precision::fp8: break;
  }
  throw std::invalid_argument("the host does not compute in " + std::string(hw::name_of(precision)));
}

}  // namespace fabricast::runtime
