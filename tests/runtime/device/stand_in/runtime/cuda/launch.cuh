// In place of runtime/cuda/launch.cuh where the launchers are compiled without nvcc: a launch runs on the host, when its stream comes to it.
#pragma once

#include "runtime/cuda/cuda_api.hpp"
#include "runtime/cuda/kernels.hpp"
#include "runtime/cuda/launch_shape.hpp"
#include "runtime/cuda/launch_units.hpp"
#include "tests/runtime/device/host_block.hpp"
#include "tests/runtime/device/host_device.hpp"

namespace fabricast::runtime::cuda {

template <class Program>
void launch_rows(const Program& program, std::int64_t rows, int threads, StreamHandle stream) {
  if (rows == 0) return;
  tests::enqueue(stream, [program, blocks = grid_of(rows), threads] {
    for (unsigned row = 0; row < blocks; ++row) {
      tests::HostBlock block(threads);
      program(block, std::int64_t{row});
    }
  });
  check(cudaGetLastError());
}

}  // namespace fabricast::runtime::cuda
