// Launches of the programs of row_programs.hpp.
#include "runtime/cuda/launch.cuh"
#include "runtime/cuda/row_programs.hpp"

namespace fabricast::runtime::cuda {
namespace {

std::int64_t bytes_of_row(const Rows& rows) { return rows.width * (rows.is_bf16 ? 2 : 4); }

}  // namespace

void launch_add(const Rows& a, const Rows& b, const Rows& out, StreamHandle stream) {
  with_unit(out.is_bf16, fits_packs(bytes_of_row(out), {a.data, b.data, out.data}), [&](auto element, auto unit) {
    using Element = decltype(element);
    using Unit = decltype(unit);
    launch_rows(Add<Element, Unit>{elements<Element>(a), elements<Element>(b), elements<Element>(out), out.width}, out.rows,
                threads_for(out.width / Unit::count), stream);
  });
}

void launch_silu_gate(const Rows& in, const Rows& out, StreamHandle stream) {
  with_unit(out.is_bf16, fits_packs(bytes_of_row(out), {in.data, out.data}), [&](auto element, auto unit) {
    using Element = decltype(element);
    using Unit = decltype(unit);
    launch_rows(SiluGate<Element, Unit>{elements<Element>(in), elements<Element>(out), out.width}, out.rows,
                threads_for(out.width / Unit::count), stream);
  });
}

void launch_gelu(const Rows& in, const Rows& out, StreamHandle stream) {
  with_unit(out.is_bf16, fits_packs(bytes_of_row(out), {in.data, out.data}), [&](auto element, auto unit) {
    using Element = decltype(element);
    using Unit = decltype(unit);
    launch_rows(Gelu<Element, Unit>{elements<Element>(in), elements<Element>(out), out.width}, out.rows,
                threads_for(out.width / Unit::count), stream);
  });
}

void launch_rms_norm(const Rows& in, const std::byte* weight, float epsilon, const Rows& out, StreamHandle stream) {
  with_unit(out.is_bf16, fits_packs(bytes_of_row(out), {in.data, weight, out.data}), [&](auto element, auto unit) {
    using Element = decltype(element);
    using Unit = decltype(unit);
    launch_rows(RmsNorm<Element, Unit>{elements<Element>(in), reinterpret_cast<const Element*>(weight), elements<Element>(out), out.width,
                                       epsilon},
                out.rows, threads_for(out.width / Unit::count), stream);
  });
}

void launch_rotate(const Rows& qk, const float* turns, std::int64_t heads, std::int64_t head_dim, std::int64_t sequence_length,
                   StreamHandle stream) {
  const bool in_packs = fits_packs(bytes_of_row(qk), {qk.data, turns}) && head_dim / 2 * (qk.is_bf16 ? 2 : 4) % pack_bytes == 0;
  with_unit(qk.is_bf16, in_packs, [&](auto element, auto unit) {
    using Element = decltype(element);
    using Unit = decltype(unit);
    launch_rows(Rotate<Element, Unit>{elements<Element>(qk), turns, qk.width, heads, head_dim, sequence_length}, qk.rows,
                threads_for(heads * head_dim / 2 / Unit::count), stream);
  });
}

void launch_embed(const std::int32_t* ids, const Rows& table, std::int64_t first_id, const Rows& out, StreamHandle stream) {
  with_unit(out.is_bf16, fits_packs(bytes_of_row(out), {table.data, out.data}), [&](auto element, auto unit) {
    using Element = decltype(element);
    using Unit = decltype(unit);
    launch_rows(Embed<Element, Unit>{ids, elements<Element>(table), elements<Element>(out), out.width, first_id, table.rows}, out.rows,
                threads_for(out.width / Unit::count), stream);
  });
}

std::int64_t blocks_that_read(std::int64_t elements) { return (elements + ReadThrough::chunk - 1) / ReadThrough::chunk; }

void launch_read(const Rows& in, float* sums, StreamHandle stream) {
  const std::int64_t elements = in.rows * in.width;
  launch_rows(ReadThrough{cuda::elements<float>(in), sums, elements}, blocks_that_read(elements), threads_for(ReadThrough::chunk), stream);
}

}  // namespace fabricast::runtime::cuda
