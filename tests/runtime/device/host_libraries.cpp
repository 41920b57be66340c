// cublasLt's part of the backend played by the host, behind the header that wraps it: plain loops, fp32 sums.
#include "runtime/cuda/gemm.hpp"

#include <algorithm>
#include <chrono>
#include <memory>

#include "runtime/bf16.hpp"
#include "runtime/cuda/fill_programs.hpp"
#include "runtime/cuda/kernels.hpp"
#include "tests/runtime/device/host_device.hpp"

namespace fabricast::runtime::cuda {

namespace {

template <class In, class Out>
void multiply(const GemmShape& s, const GemmOperands& operands) {
  const auto* const in = static_cast<const In*>(operands.in);
  const auto* const weight = static_cast<const In*>(operands.weight);
  auto* const out = static_cast<Out*>(operands.out);
  for (std::int64_t r = 0; r < s.m; ++r) {
    for (std::int64_t c = 0; c < s.n; ++c) {
      float sum = 0.0F;
      for (std::int64_t i = 0; i < s.k; ++i) {
        sum += to_float(in[r * s.in_stride + i]) * to_float(s.weight_is_transposed ? weight[c * s.k + i] : weight[i * s.n + c]);
      }
      store(sum, out[r * s.n + c]);
    }
  }
}

}  // namespace

struct Gemms::Plan {};

Gemms::Gemms(std::int32_t sms, std::size_t workspace, int candidates) : sms_(sms), workspace_(workspace), candidates_(candidates) {}
Gemms::~Gemms() = default;
void Gemms::prepare(const GemmShape&, const GemmOperands&) {}
void Gemms::tune(const GemmShape& shape, const GemmOperands& operands, const GemmPlace& place) { run(shape, operands, place); }

void Gemms::run(const GemmShape& shape, const GemmOperands& operands, const GemmPlace& place) {
  if (place.workspace.size() != workspace_) throw std::logic_error("a product without its workspace");
  tests::enqueue(place.stream, [shape, operands] {
    if (!shape.is_bf16) {
      multiply<float, float>(shape, operands);
    } else if (shape.writes_fp32) {
      multiply<Bf16, float>(shape, operands);
    } else {
      multiply<Bf16, Bf16>(shape, operands);
    }
  });
}

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

}  // namespace fabricast::runtime::cuda

// The launchers themselves; stand_in/ comes before the project's root where this file's includes are looked up.
#include "runtime/cuda/attention.cu"
#include "runtime/cuda/elementwise.cu"
#include "runtime/cuda/fill.cu"
#include "runtime/cuda/routing.cu"
