// Launches of the programs of routing_programs.hpp.
#include <type_traits>

#include "runtime/cuda/launch.cuh"

namespace fabricast::runtime::cuda {
namespace {

template <class Unit>
void launch_permute_by(const std::byte* in, const std::int32_t* rows, std::byte* out, std::int64_t count, std::int64_t row_bytes,
                       StreamHandle stream) {
  const std::int64_t units_in_row = row_bytes / static_cast<std::int64_t>(sizeof(Unit));
  launch_rows(PermuteRows<Unit>{reinterpret_cast<const Unit*>(in), rows, reinterpret_cast<Unit*>(out), units_in_row}, count,
              threads_for(units_in_row), stream);
}

}  // namespace

void launch_choose_experts(const ChooseExperts& program, std::int64_t rows, StreamHandle stream) {
  launch_rows(program, rows, warp_size, stream);
}

void launch_permute(const std::byte* in, const std::int32_t* rows, std::byte* out, std::int64_t count, std::int64_t row_bytes,
                    StreamHandle stream) {
  if (fits_packs(row_bytes, {in, out})) {
    launch_permute_by<Pack<float>>(in, rows, out, count, row_bytes, stream);
  } else {
    launch_permute_by<std::byte>(in, rows, out, count, row_bytes, stream);
  }
}

void launch_sum_weighted(const std::byte* in, const std::int32_t* places, const Choice* choices, std::int64_t top_k, const Rows& out,
                         StreamHandle stream) {
  with_unit(out.is_bf16, fits_packs(out.width * (out.is_bf16 ? 2 : 4), {in, out.data}), [&](auto element, auto unit) {
    using Element = decltype(element);
    using Unit = decltype(unit);
    launch_rows(SumWeighted<Element, Unit>{reinterpret_cast<const Element*>(in), places, choices, elements<Element>(out), out.width, top_k},
                out.rows, threads_for(out.width / Unit::count), stream);
  });
}

void launch_copies(const Copy* copies, std::int64_t count, StreamHandle stream) {
  constexpr int threads = 256;
  launch_rows(CopyPieces{copies}, count, threads, stream);
}

void launch_sum_members(const std::byte* const* inputs, std::int32_t members, std::int64_t first, const Rows& out, StreamHandle stream) {
  const std::int64_t count = out.rows * out.width;
  const auto launch = [&](auto element) {
    using Program = SumMembers<decltype(element)>;
    launch_rows(Program{inputs, members, first, count, elements<decltype(element)>(out)}, (count + Program::chunk - 1) / Program::chunk,
                threads_for(Program::chunk), stream);
  };
  out.is_bf16 ? launch(Bf16{}) : launch(float{});
}

}  // namespace fabricast::runtime::cuda
