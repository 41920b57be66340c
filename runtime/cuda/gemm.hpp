// Matrix products by cublasLt: bf16 or fp32 in, fp32 sums. Knows no ops and no ranks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>

#include "hardware_models/units.hpp"
#include "runtime/cuda/cuda_api.hpp"

namespace fabricast::runtime::cuda {

/// out[m, n] = in[m, k] · weight[k, n], row-major; rows of `in` are in_stride elements apart; with weight_is_transposed, weight is [n, k].
struct GemmShape {
  std::int64_t m, n, k, in_stride;
  bool weight_is_transposed = false;
  bool is_bf16 = true;
  bool writes_fp32 = false;             // though it reads bf16
  friend auto operator<=>(const GemmShape&, const GemmShape&) = default;
};

struct GemmOperands {
  const void *in, *weight;
  void* out;
};

/// Where a product runs, and memory for cublasLt that nothing else on another stream uses meanwhile.
struct GemmPlace {
  cudaStream_t stream;
  std::span<std::byte> workspace;
};

/// cublasLt's recommendation for Hopper (cuBLAS documentation, cublasSetWorkspace).
inline constexpr Bytes hopper_workspace{std::int64_t{32} << 20};

class Gemms {
 public:
  /// sms: how many to plan for, 0: all. All workspaces have the same size. candidates: kernels that cublasLt is asked for, by shape.
  Gemms(std::int32_t sms, std::size_t workspace, int candidates = 8);
  ~Gemms();
  Gemms(const Gemms&) = delete;
  Gemms& operator=(const Gemms&) = delete;

  /// Chooses a kernel now, by cublasLt's heuristics, so that no run does. Throws std::runtime_error where there is none.
  void prepare(const GemmShape& shape, const GemmOperands& operands);
  /// Times cublasLt's candidates on these operands, whose output is written, and keeps the fastest from now on. Waits for the device.
  void tune(const GemmShape& shape, const GemmOperands& operands, const GemmPlace& place);
  void run(const GemmShape& shape, const GemmOperands& operands, const GemmPlace& place);

 private:
  struct Plan;
  struct Key {
    GemmShape shape;
    std::uint32_t in, weight, out;      // alignments
    friend auto operator<=>(const Key&, const Key&) = default;
  };
  [[nodiscard]] Plan& plan(const GemmShape& shape, const GemmOperands& operands);

  void* handle_ = nullptr;              // cublasLtHandle_t
  std::int32_t sms_;
  std::size_t workspace_;
  int candidates_;
  std::map<Key, std::unique_ptr<Plan>> plans_;
};

}  // namespace fabricast::runtime::cuda
