// cublasLt and the traffic kernel played by the host; the launchers themselves, compiled without nvcc.
#include <cublasLt.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>

#include "runtime/bf16.hpp"
#include "runtime/cuda/fill_programs.hpp"
#include "runtime/cuda/kernels.hpp"
#include "tests/runtime/device/host_device.hpp"

// cublasLt as its manual says: column-major, D = op(A) · op(B), fp32 sums in plain loops. What the manual forbids is refused.
namespace fabricast::tests {

namespace {

using runtime::Bf16;

struct Layout {
  cudaDataType_t type;
  std::int64_t rows, columns, stride;
  [[nodiscard]] std::int64_t width() const { return type == CUDA_R_16BF ? 2 : 4; }
};

struct Matmul {
  bool a_is_transposed = false;
};

/// What the caller promised when it asked for kernels.
struct Promise {
  std::uint64_t workspace = 0;
  std::uint32_t a = 256, b = 256, c = 256, d = 256;
};

template <class Handle>
auto& of(Handle handle) {
  if constexpr (std::is_same_v<Handle, cublasLtMatrixLayout_t>) {
    return *reinterpret_cast<Layout*>(handle);
  } else if constexpr (std::is_same_v<Handle, cublasLtMatmulDesc_t>) {
    return *reinterpret_cast<Matmul*>(handle);
  } else {
    return *reinterpret_cast<Promise*>(handle);
  }
}

bool is_aligned(const void* address, std::uint32_t to) { return reinterpret_cast<std::uintptr_t>(address) % to == 0; }

template <class In, class Out>
void multiply(bool a_is_transposed, const Layout& a, const void* a_at, const Layout& b, const void* b_at, const Layout& d, void* d_at) {
  const auto* const left = static_cast<const In*>(a_at);
  const auto* const right = static_cast<const In*>(b_at);
  auto* const out = static_cast<Out*>(d_at);
  for (std::int64_t column = 0; column < d.columns; ++column) {
    for (std::int64_t row = 0; row < d.rows; ++row) {
      float sum = 0.0F;
      for (std::int64_t i = 0; i < b.rows; ++i) {
        sum += runtime::to_float(left[a_is_transposed ? row * a.stride + i : i * a.stride + row]) * runtime::to_float(right[column * b.stride + i]);
      }
      runtime::store(sum, out[column * d.stride + row]);
    }
  }
}

bool fit(const Matmul& matmul, const Layout& a, const Layout& b, const Layout& d) {
  const std::int64_t m = matmul.a_is_transposed ? a.columns : a.rows, k = matmul.a_is_transposed ? a.rows : a.columns;
  const bool strides_fit = a.stride >= a.rows && b.stride >= b.rows && d.stride >= d.rows;
  return strides_fit && m == d.rows && k == b.rows && b.columns == d.columns && a.type == b.type && (a.type == d.type || d.type == CUDA_R_32F);
}

}  // namespace

}  // namespace fabricast::tests

namespace t = fabricast::tests;

extern "C" {

const char* cublasLtGetStatusString(cublasStatus_t status) { return status == CUBLAS_STATUS_SUCCESS ? "success" : "refused"; }
cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) { return *handle = reinterpret_cast<cublasLtHandle_t>(new int), CUBLAS_STATUS_SUCCESS; }
cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) { return delete reinterpret_cast<int*>(handle), CUBLAS_STATUS_SUCCESS; }

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* matmul, cublasComputeType_t compute, cudaDataType_t scale) {
  if (compute != CUBLAS_COMPUTE_32F || scale != CUDA_R_32F) return CUBLAS_STATUS_NOT_SUPPORTED;
  *matmul = reinterpret_cast<cublasLtMatmulDesc_t>(new t::Matmul);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t matmul) { return delete &t::of(matmul), CUBLAS_STATUS_SUCCESS; }
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t matmul, cublasLtMatmulDescAttributes_t which, const void* value, size_t size) {
  if (which == CUBLASLT_MATMUL_DESC_SM_COUNT_TARGET) return size == sizeof(std::int32_t) ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
  cublasOperation_t operation{};
  if (which != CUBLASLT_MATMUL_DESC_TRANSA || size != sizeof operation) return CUBLAS_STATUS_INVALID_VALUE;
  std::memcpy(&operation, value, size);
  t::of(matmul).a_is_transposed = operation == CUBLAS_OP_T;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* layout, cudaDataType type, uint64_t rows, uint64_t columns, int64_t stride) {
  const auto signed_rows = static_cast<std::int64_t>(rows), signed_columns = static_cast<std::int64_t>(columns);
  *layout = reinterpret_cast<cublasLtMatrixLayout_t>(new t::Layout{type, signed_rows, signed_columns, stride});
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) { return delete &t::of(layout), CUBLAS_STATUS_SUCCESS; }

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* preference) {
  return *preference = reinterpret_cast<cublasLtMatmulPreference_t>(new t::Promise), CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) { return delete &t::of(preference), CUBLAS_STATUS_SUCCESS; }
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t which,
                                                    const void* value, size_t size) {
  t::Promise& promise = t::of(preference);
  const auto set = [&](auto& place) { return size == sizeof place ? (std::memcpy(&place, value, size), CUBLAS_STATUS_SUCCESS) : CUBLAS_STATUS_INVALID_VALUE; };
  switch (which) {
    case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES: return set(promise.workspace);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES: return set(promise.a);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES: return set(promise.b);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES: return set(promise.c);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES: return set(promise.d);
    default: return CUBLAS_STATUS_INVALID_VALUE;
  }
}

/// All kernels but the first, which the manual allows to come with a state that is no success.
cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t matmul, cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t, cublasLtMatrixLayout_t d, cublasLtMatmulPreference_t preference, int most,
                                              cublasLtMatmulHeuristicResult_t results[], int* found) {
  *found = 0;
  if (!t::fit(t::of(matmul), t::of(a), t::of(b), t::of(d))) return CUBLAS_STATUS_INVALID_VALUE;
  for (; *found < most && *found < 3; ++*found) {
    results[*found] = {};
    results[*found].state = *found == 0 ? CUBLAS_STATUS_NOT_SUPPORTED : CUBLAS_STATUS_SUCCESS;
    std::memcpy(results[*found].algo.data, &t::of(preference), sizeof(t::Promise));
    results[*found].algo.data[7] = static_cast<uint64_t>(*found);
  }
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t matmul, const void* alpha, const void* a_at, cublasLtMatrixLayout_t a_layout,
                              const void* b_at, cublasLtMatrixLayout_t b_layout, const void* beta, const void* c_at, cublasLtMatrixLayout_t, void* d_at,
                              cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t* algo, void* workspace, size_t size, cudaStream_t stream) {
  t::Promise promise;
  std::memcpy(&promise, algo->data, sizeof promise);
  const t::Layout a = t::of(a_layout), b = t::of(b_layout), d = t::of(d_layout);
  const bool kept = t::is_aligned(a_at, promise.a) && t::is_aligned(b_at, promise.b) && t::is_aligned(d_at, promise.d) && c_at == d_at &&
                    t::is_aligned(workspace, 256) && size >= promise.workspace && algo->data[7] > 0;
  const bool is_plain = *static_cast<const float*>(alpha) == 1.0F && *static_cast<const float*>(beta) == 0.0F;
  if (!kept || !is_plain || !t::fit(t::of(matmul), a, b, d)) return CUBLAS_STATUS_INVALID_VALUE;
  t::enqueue(stream, [=, transposed = t::of(matmul).a_is_transposed] {
    using fabricast::runtime::Bf16;
    if (a.type == CUDA_R_32F) {
      t::multiply<float, float>(transposed, a, a_at, b, b_at, d, d_at);
    } else if (d.type == CUDA_R_32F) {
      t::multiply<Bf16, float>(transposed, a, a_at, b, b_at, d, d_at);
    } else {
      t::multiply<Bf16, Bf16>(transposed, a, a_at, b, b_at, d, d_at);
    }
  });
  return CUBLAS_STATUS_SUCCESS;
}

}  // extern "C"

namespace fabricast::runtime::cuda {

/// All at once, and then its time is waited for.
void launch_traffic(std::uint64_t seed, const Rows& place, std::int64_t bytes, std::int32_t, std::int64_t nanoseconds, StreamHandle stream) {
  using Clock = std::chrono::steady_clock;
  const std::int64_t there = place.rows * place.width * (place.is_bf16 ? 2 : 4) / 16;
  const auto end = std::make_shared<Clock::time_point>();
  tests::enqueue(stream, [=] {
    *end = Clock::now() + std::chrono::nanoseconds(nanoseconds);
    for (std::int64_t i = 0; i < std::min(bytes / 16, there); ++i) {
      reinterpret_cast<Pack<float>*>(place.data)[i] = random_pack(seed, i, place.is_bf16);
    }
  });
  tests::enqueue_when(stream, [=] { return Clock::now() >= *end; }, [] {});
}

void launch_pause(std::int64_t nanoseconds, StreamHandle stream) {
  launch_traffic(0, {nullptr, 0, 0, true}, 0, 1, nanoseconds, stream);
}

}  // namespace fabricast::runtime::cuda

// The launchers themselves; stand_in/ comes before the project's root where this file's includes are looked up.
#include "runtime/cuda/attention.cu"
#include "runtime/cuda/elementwise.cu"
#include "runtime/cuda/fill.cu"
#include "runtime/cuda/routing.cu"
