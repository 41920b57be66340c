// How programs become launches. Device code only.
#pragma once

#include "runtime/cuda/cuda_api.hpp"
#include "runtime/cuda/device_block.cuh"
#include "runtime/cuda/kernels.hpp"
#include "runtime/cuda/launch_shape.hpp"

namespace fabricast::runtime::cuda {

template <class Program>
void launch_rows(const Program& program, std::int64_t rows, int threads, StreamHandle stream) {
  if (rows == 0) return;
  run_rows<<<grid_of(rows), static_cast<unsigned>(threads), 0, stream>>>(program);
  check(cudaGetLastError());
}

/// Calls launch(Element{}, Unit{}) with the element type and the widest access that fits.
template <class Launch>
void with_unit(bool is_bf16, bool in_packs, Launch launch) {
  if (is_bf16) {
    in_packs ? launch(Bf16{}, Pack<Bf16>{}) : launch(Bf16{}, Single<Bf16>{});
  } else {
    in_packs ? launch(float{}, Pack<float>{}) : launch(float{}, Single<float>{});
  }
}

template <class Element>
[[nodiscard]] Element* elements(const Rows& rows) {
  return reinterpret_cast<Element*>(rows.data);
}

}  // namespace fabricast::runtime::cuda
