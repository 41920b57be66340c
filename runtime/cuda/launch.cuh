// How programs become launches. Device code only.
#pragma once

#include "runtime/cuda/cuda_api.hpp"
#include "runtime/cuda/device_block.cuh"
#include "runtime/cuda/kernels.hpp"
#include "runtime/cuda/launch_shape.hpp"
#include "runtime/cuda/launch_units.hpp"

namespace fabricast::runtime::cuda {

template <class Program>
void launch_rows(const Program& program, std::int64_t rows, int threads, StreamHandle stream) {
  if (rows == 0) return;
  run_rows<<<grid_of(rows), static_cast<unsigned>(threads), 0, stream>>>(program);
  check(cudaGetLastError());
}

}  // namespace fabricast::runtime::cuda
