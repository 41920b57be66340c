// Matrix products on the host: stored in fp32 or bf16, summed in fp32. Wraps Eigen. Knows no ops and no ranks.
#pragma once

#include <cstdint>

#include "runtime/matrix.hpp"

namespace fabricast::runtime {

/// out[m, n] = in[m, k] · weight[k, n]; with weight_is_transposed, weight is [n, k].
template <class Element>
void multiply(const Matrix<Element>& in, const Matrix<Element>& weight, bool weight_is_transposed, const Matrix<Element>& out);

extern template void multiply<float>(const Matrix<float>&, const Matrix<float>&, bool, const Matrix<float>&);
extern template void multiply<Bf16>(const Matrix<Bf16>&, const Matrix<Bf16>&, bool, const Matrix<Bf16>&);

}  // namespace fabricast::runtime
