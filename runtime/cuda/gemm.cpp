#include "runtime/cuda/gemm.hpp"

#include <cublasLt.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <source_location>
#include <vector>

#include "runtime/cuda/kernels.hpp"
#include "runtime/cuda/launch_shape.hpp"

namespace fabricast::runtime::cuda {
namespace {

void check_lt(cublasStatus_t status, std::source_location where = std::source_location::current()) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw std::runtime_error(fmt::format("cublasLt: {} (gemm.cpp:{})", cublasLtGetStatusString(status), where.line()));
}

template <class Handle, auto destroy>
class Descriptor {
 public:
  explicit Descriptor(Handle handle) : handle_(handle) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { (void)destroy(handle_); }
  [[nodiscard]] Handle get() const { return handle_; }

 private:
  Handle handle_;
};
using MatmulDescriptor = Descriptor<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy>;
using Layout = Descriptor<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;
using Preference = Descriptor<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy>;

cublasLtMatmulDesc_t new_matmul(bool weight_is_transposed, std::int32_t sms) {
  cublasLtMatmulDesc_t matmul = nullptr;
  check_lt(cublasLtMatmulDescCreate(&matmul, CUBLAS_COMPUTE_32F, CUDA_R_32F));
  const cublasOperation_t operation = weight_is_transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
  check_lt(cublasLtMatmulDescSetAttribute(matmul, CUBLASLT_MATMUL_DESC_TRANSA, &operation, sizeof operation));
  if (sms > 0) check_lt(cublasLtMatmulDescSetAttribute(matmul, CUBLASLT_MATMUL_DESC_SM_COUNT_TARGET, &sms, sizeof sms));
  return matmul;
}

/// cublasLt is column-major: a row-major [rows, columns] is its [columns, rows].
cublasLtMatrixLayout_t new_layout(bool is_bf16, std::int64_t rows, std::int64_t columns, std::int64_t stride) {
  cublasLtMatrixLayout_t layout = nullptr;
  check_lt(cublasLtMatrixLayoutCreate(&layout, is_bf16 ? CUDA_R_16BF : CUDA_R_32F, static_cast<std::uint64_t>(columns),
                                      static_cast<std::uint64_t>(rows), stride));
  return layout;
}

cublasLtMatmulPreference_t new_preference(std::size_t workspace, std::uint32_t weight, std::uint32_t in, std::uint32_t out) {
  cublasLtMatmulPreference_t preference = nullptr;
  check_lt(cublasLtMatmulPreferenceCreate(&preference));
  const auto set = [&](cublasLtMatmulPreferenceAttributes_t attribute, const auto& value) {
    check_lt(cublasLtMatmulPreferenceSetAttribute(preference, attribute, &value, sizeof value));
  };
  set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, workspace);
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, weight);
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, in);
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, out);
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, out);
  return preference;
}

std::runtime_error no_kernel(const GemmShape& shape, cublasStatus_t status) {
  return std::runtime_error(
      fmt::format("cublasLt has no kernel for m {}, n {}, k {} ({})", shape.m, shape.n, shape.k, cublasLtGetStatusString(status)));
}

}  // namespace

/// outᵀ[n, m] = weightᵀ[n, k] · inᵀ[k, m], all column-major: weight is cublasLt's A, in its B.
struct Gemms::Plan {
  Plan(cublasLtHandle_t lt, const Key& key, std::int32_t sms, std::size_t workspace, int most_candidates)
      : matmul(new_matmul(key.shape.weight_is_transposed, sms)),
        weight(key.shape.weight_is_transposed ? new_layout(key.shape.is_bf16, key.shape.n, key.shape.k, key.shape.k)
                                              : new_layout(key.shape.is_bf16, key.shape.k, key.shape.n, key.shape.n)),
        in(new_layout(key.shape.is_bf16, key.shape.m, key.shape.k, key.shape.in_stride)),
        out(new_layout(key.shape.is_bf16 && !key.shape.writes_fp32, key.shape.m, key.shape.n, key.shape.n)) {
    const Preference preference(new_preference(workspace, key.weight, key.in, key.out));
    candidates.resize(static_cast<std::size_t>(most_candidates));
    int found = 0;
    const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(lt, matmul.get(), weight.get(), in.get(), out.get(), out.get(),
                                                                 preference.get(), most_candidates, candidates.data(), &found);
    if (status != CUBLAS_STATUS_SUCCESS || found == 0) {
      throw no_kernel(key.shape, status);
    }
    candidates.resize(static_cast<std::size_t>(found));
    std::erase_if(candidates, [](const auto& candidate) { return candidate.state != CUBLAS_STATUS_SUCCESS; });
    if (candidates.empty()) throw no_kernel(key.shape, CUBLAS_STATUS_NOT_SUPPORTED);
  }

  void run(cublasLtHandle_t lt, std::size_t candidate, const GemmOperands& operands, const GemmPlace& place) const {
    const float one = 1.0F, zero = 0.0F;
    check_lt(cublasLtMatmul(lt, matmul.get(), &one, operands.weight, weight.get(), operands.in, in.get(), &zero, operands.out, out.get(),
                            operands.out, out.get(), &candidates[candidate].algo, place.workspace.data(), place.workspace.size(),
                            place.stream));
  }

  MatmulDescriptor matmul;
  Layout weight, in, out;
  std::vector<cublasLtMatmulHeuristicResult_t> candidates;   // by what cublasLt expects
  std::size_t chosen = 0;
  bool is_tuned = false;
};

Gemms::Gemms(std::int32_t sms, std::size_t workspace, int candidates) : sms_(sms), workspace_(workspace), candidates_(candidates) {
  cublasLtHandle_t handle = nullptr;
  check_lt(cublasLtCreate(&handle));
  handle_ = handle;
}

Gemms::~Gemms() {
  plans_.clear();
  (void)cublasLtDestroy(static_cast<cublasLtHandle_t>(handle_));
}

Gemms::Plan& Gemms::plan(const GemmShape& shape, const GemmOperands& operands) {
  const Key key{shape, alignment_of(operands.in), alignment_of(operands.weight), alignment_of(operands.out)};
  std::unique_ptr<Plan>& place = plans_[key];
  if (!place) place = std::make_unique<Plan>(static_cast<cublasLtHandle_t>(handle_), key, sms_, workspace_, candidates_);
  return *place;
}

void Gemms::prepare(const GemmShape& shape, const GemmOperands& operands) {
  if (shape.m > 0) (void)plan(shape, operands);
}

/// Of each candidate the first run loads it. Then the device pauses while the host hands over the rest: else the time between two events of a
/// short product would be that of its launch, for all candidates alike.
void Gemms::tune(const GemmShape& shape, const GemmOperands& operands, const GemmPlace& place) {
  constexpr std::size_t repetitions = 5;
  constexpr std::int64_t pause = 300'000;   // ns; eleven launches and events take the host a third of that
  if (shape.m == 0) return;
  Plan& p = plan(shape, operands);
  if (std::exchange(p.is_tuned, true)) return;
  std::array<Event, repetitions + 1> marks;
  for (Event& mark : marks) mark = make_event();
  float best = 0;
  for (std::size_t c = 0; c < p.candidates.size(); ++c) {
    p.run(static_cast<cublasLtHandle_t>(handle_), c, operands, place);
    launch_pause(pause, place.stream);
    for (std::size_t i = 0; i <= repetitions; ++i) {
      if (i > 0) p.run(static_cast<cublasLtHandle_t>(handle_), c, operands, place);
      check(cudaEventRecord(marks[i].get(), place.stream));
    }
    check(cudaEventSynchronize(marks.back().get()));
    std::array<float, repetitions> milliseconds{};
    for (std::size_t i = 0; i < repetitions; ++i) check(cudaEventElapsedTime(&milliseconds[i], marks[i].get(), marks[i + 1].get()));
    std::sort(milliseconds.begin(), milliseconds.end());
    if (c > 0 && milliseconds[repetitions / 2] >= best) continue;
    best = milliseconds[repetitions / 2];
    p.chosen = c;
  }
}

void Gemms::run(const GemmShape& shape, const GemmOperands& operands, const GemmPlace& place) {
  if (shape.m == 0) return;
  const Plan& p = plan(shape, operands);
  p.run(static_cast<cublasLtHandle_t>(handle_), p.chosen, operands, place);
}

}  // namespace fabricast::runtime::cuda
