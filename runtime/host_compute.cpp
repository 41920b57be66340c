#include "runtime/host_compute.hpp"

#include <numeric>
#include <span>
#include <stdexcept>

#include "runtime/host_attention.hpp"
#include "runtime/host_elementwise.hpp"
#include "runtime/host_gemm.hpp"
#include "runtime/host_routing.hpp"

namespace fabricast::runtime {
namespace {

using ir::Extent;

/// Where the input has more rows than m: the last row of each of m equal parts.
template <class Element>
Matrix<Element> last_rows(const Matrix<Element>& in, std::int64_t m) {
  if (in.rows == m) return in;
  require(m > 0 && in.rows % m == 0, "matrix product: as many input rows as output rows, or a multiple");
  const std::int64_t part = in.rows / m;
  return {in.data + (part - 1) * in.stride, m, in.columns, part * in.stride};
}

class RunWork {
 public:
  explicit RunWork(const BoundOp& op) : op_(op) {}

  void operator()(const hw::Gemm<Extent>& w) const {
    with_element(w.precision, [&](auto element) {
      using Element = decltype(element);
      const auto out = write<Element>();
      multiply(last_rows(read<Element>(0), out.rows), read<Element>(1), op_.weight_is_table, out);
    });
  }

  void operator()(const hw::GroupedGemm<ir::ExpertRows>& w) const {
    with_element(w.precision, [&](auto element) {
      using Element = decltype(element);
      auto in = read<Element>(0), weight = read<Element>(1), out = write<Element>();
      require(std::accumulate(op_.expert_rows.begin(), op_.expert_rows.end(), std::int64_t{0}) == in.rows && in.rows == out.rows,
              "grouped matrix product: every row belongs to an expert");
      require(weight.rows == w.k * static_cast<std::int64_t>(op_.expert_rows.size()), "grouped matrix product: a weight for each expert");
      weight.rows = w.k;
      for (const std::int64_t rows : op_.expert_rows) {
        in.rows = out.rows = rows;
        multiply(in, weight, false, out);
        in.data += rows * in.stride;
        out.data += rows * out.stride;
        weight.data += w.k * weight.stride;
      }
    });
  }

  void operator()(const hw::Attention<Extent>& w) const {
    require(w.query_length == w.kv_length, "attention: as many keys as queries (a forward pass)");
    with_element(w.precision, [&](auto element) {
      using Element = decltype(element);
      attend(read<Element>(0), AttentionShape{w.query_length, w.heads, w.kv_heads, w.head_dim, w.causal}, write<Element>());
    });
  }

  void operator()(const hw::Embedding<Extent>& w) const {
    const auto* const ids = reinterpret_cast<const std::int32_t*>(op_.reads.at(0).data);
    const std::span all(ids, static_cast<std::size_t>(op_.reads[0].rows));
    with_element(w.precision, [&](auto element) {
      using Element = decltype(element);
      embed(all, read<Element>(1), op_.first_id, write<Element>());
    });
  }

  void operator()(const hw::RmsNorm<Extent>& w) const {
    with_element(w.precision, [&](auto element) {
      using Element = decltype(element);
      rms_norm(read<Element>(0), read<Element>(1).data, write<Element>());
    });
  }

  void operator()(const hw::Rope<Extent>& w) const {
    with_element(w.precision, [&](auto element) {
      using Element = decltype(element);
      require(op_.reads.at(0).data == op_.writes.at(0).data, "rotary embedding: in place");
      rotate(write<Element>(), w.width, w.head_dim, w.sequence_length);
    });
  }

  void operator()(const hw::ResidualAdd<Extent>& w) const {
    with_element(w.precision, [&](auto element) {
      using Element = decltype(element);
      add(read<Element>(0), read<Element>(1), write<Element>());
    });
  }

  void operator()(const hw::Activation<Extent>& w) const {
    with_element(w.precision, [&](auto element) {
      using Element = decltype(element);
      if (w.gated) {
        silu_gate(read<Element>(0), write<Element>());
      } else {
        gelu(read<Element>(0), write<Element>());
      }
    });
  }

  void operator()(const hw::Router<Extent>& w) const {
    with_element(w.precision, [&](auto element) {
      using Element = decltype(element);
      route(read<Element>(0), read<Element>(1), op_.table, write<RouterChoice>());
    });
  }

  void operator()(const hw::Permute<Extent>&) const { permute(op_.reads.at(0), op_.table, op_.writes.at(0)); }

  void operator()(const hw::WeightedSum<Extent>& w) const {
    with_element(w.precision, [&](auto element) {
      using Element = decltype(element);
      sum_weighted(read<Element>(0), op_.table, read<RouterChoice>(1), write<Element>());
    });
  }

  void operator()(const ir::Collective&) const { refuse(); }
  void operator()(const ir::AllToAll&) const { refuse(); }
  void operator()(const ir::Send&) const { refuse(); }
  void operator()(const ir::Recv&) const { refuse(); }

 private:
  template <class Element>
  [[nodiscard]] Matrix<Element> read(std::size_t index) const {
    return as_matrix<Element>(op_.reads.at(index));
  }
  template <class Element>
  [[nodiscard]] Matrix<Element> write() const {
    return as_matrix<Element>(op_.writes.at(0));
  }
  [[noreturn]] static void refuse() { throw std::logic_error("communication is the transport's"); }

  const BoundOp& op_;
};

}  // namespace

void HostCompute::run(const BoundOp& op) { std::visit(RunWork(op), op.op->work); }

}  // namespace fabricast::runtime
