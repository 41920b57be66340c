// Launches of the programs of fill_programs.hpp.
#include "runtime/cuda/fill_programs.hpp"
#include "runtime/cuda/launch.cuh"

namespace fabricast::runtime::cuda {
namespace {

constexpr int fill_threads = 256;

}  // namespace

void launch_fill_weights(const RandomWeights& matrix, const WeightRuns& columns, std::int64_t first_row, bool is_transposed, const Rows& out,
                         StreamHandle stream) {
  if (out.is_bf16) {
    launch_rows(FillWeights<Bf16>{matrix, columns, first_row, is_transposed, elements<Bf16>(out), out.width}, out.rows, fill_threads, stream);
  } else {
    launch_rows(FillWeights<float>{matrix, columns, first_row, is_transposed, elements<float>(out), out.width}, out.rows, fill_threads,
                stream);
  }
}

void launch_fill_random(std::uint64_t seed, const Rows& out, StreamHandle stream) {
  const std::int64_t bytes = out.rows * out.width * (out.is_bf16 ? 2 : 4);
  const FillRandom program{seed, out.data, bytes, out.is_bf16};
  launch_rows(program, (bytes + FillRandom::chunk - 1) / FillRandom::chunk, fill_threads, stream);
}

void launch_fill_bytes(std::byte* data, int value, std::size_t bytes, StreamHandle stream) {
  check(cudaMemsetAsync(data, value, bytes, stream));
}

}  // namespace fabricast::runtime::cuda
