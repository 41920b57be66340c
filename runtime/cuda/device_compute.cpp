#include "runtime/cuda/device_compute.hpp"

#include <algorithm>
#include <functional>
#include <numeric>

#include "runtime/cuda/kernels.hpp"
#include "runtime/executor.hpp"
#include "runtime/host_elementwise.hpp"
#include "runtime/matrix.hpp"
#include "strategies/ir/validate.hpp"

namespace fabricast::runtime::cuda {
namespace {

using ir::Extent;

constexpr std::int64_t fp32_bytes = 4, choice_bytes = sizeof(Choice);

Rows rows_of(const View& view, bool is_bf16) { return {view.data, view.rows, view.row_bytes / (is_bf16 ? 2 : fp32_bytes), is_bf16}; }

/// A product with its operands: what one op, or one expert of it, multiplies.
struct Product {
  GemmShape shape;
  GemmOperands operands;
};

/// Where the input has more rows than the output: the last row of each of so many equal parts.
Product product_of(const BoundOp& op, bool is_bf16) {
  const Rows in = rows_of(op.reads.at(0), is_bf16), out = rows_of(op.writes.at(0), is_bf16), weight = rows_of(op.reads.at(1), is_bf16);
  require(out.rows == 0 || in.rows % out.rows == 0, "matrix product: as many input rows as output rows, or a multiple");
  require(in.width == (op.weight_is_table ? weight.width : weight.rows), "matrix product: the inner sizes agree");
  require(out.width == (op.weight_is_table ? weight.rows : weight.width), "matrix product: as many columns as the weight");
  const std::int64_t part = out.rows == 0 ? 1 : in.rows / out.rows;
  return {{out.rows, out.width, in.width, part * in.width, op.weight_is_table, is_bf16, false},
          {in.data + (part - 1) * op.reads[0].row_bytes, weight.data, out.data}};
}

std::vector<Product> products_of_experts(const BoundOp& op, std::int64_t k, bool is_bf16) {
  const Rows in = rows_of(op.reads.at(0), is_bf16), out = rows_of(op.writes.at(0), is_bf16), weight = rows_of(op.reads.at(1), is_bf16);
  require(std::accumulate(op.expert_rows.begin(), op.expert_rows.end(), std::int64_t{0}) == in.rows && in.rows == out.rows,
          "grouped matrix product: every row belongs to an expert");
  require(weight.rows == k * static_cast<std::int64_t>(op.expert_rows.size()) && in.width == k && out.width == weight.width,
          "grouped matrix product: a weight for each expert");
  std::vector<Product> products;
  GemmOperands operands{in.data, weight.data, out.data};
  for (const std::int64_t rows : op.expert_rows) {
    products.push_back({{rows, out.width, k, k, false, is_bf16, false}, operands});
    operands.in = static_cast<const std::byte*>(operands.in) + rows * op.reads[0].row_bytes;
    operands.weight = static_cast<const std::byte*>(operands.weight) + k * op.reads[1].row_bytes;
    operands.out = static_cast<std::byte*>(operands.out) + rows * op.writes[0].row_bytes;
  }
  return products;
}

Product scores_of(const BoundOp& op, const ComputeSpace& space) {
  const Rows in = rows_of(op.reads.at(0), space.is_bf16()), weight = rows_of(op.reads.at(1), space.is_bf16());
  require(in.width == weight.rows, "router: the inner sizes agree");
  return {{in.rows, weight.width, in.width, in.width, false, space.is_bf16(), true}, {in.data, weight.data, space.scores()}};
}

/// Of a matrix product, a grouped one, or a router.
std::vector<Product> products(const BoundOp& op, const ComputeSpace& space) {
  if (std::holds_alternative<hw::Gemm<Extent>>(op.op->work)) return {product_of(op, space.is_bf16())};
  if (const auto* grouped = std::get_if<hw::GroupedGemm<ir::ExpertRows>>(&op.op->work)) {
    return products_of_experts(op, grouped->k, space.is_bf16());
  }
  if (std::holds_alternative<hw::Router<Extent>>(op.op->work)) return {scores_of(op, space)};
  return {};
}

AttentionSizes sizes_of(const hw::Attention<Extent>& w, std::int64_t rows) {
  return {rows / w.query_length, w.query_length, w.heads, w.kv_heads, w.head_dim, w.causal};
}

void require_rows_in(std::span<const std::int32_t> table, std::int64_t rows, std::int32_t lowest, const char* what) {
  require(std::all_of(table.begin(), table.end(), [&](std::int32_t row) { return row >= lowest && row < rows; }), what);
}

/// What the kernels take for granted.
class Check {
 public:
  Check(const BoundOp& op, bool is_bf16) : op_(op), is_bf16_(is_bf16) {}

  void operator()(const hw::Gemm<Extent>&) const {}
  void operator()(const hw::GroupedGemm<ir::ExpertRows>&) const {}
  void operator()(const hw::Attention<Extent>& w) const {
    require(w.query_length == w.kv_length, "attention: as many keys as queries (a forward pass)");
    require(read(0).width == (w.heads + 2 * w.kv_heads) * w.head_dim, "attention: q, k and v side by side");
    require(read(0).rows % w.query_length == 0 && write().rows == read(0).rows, "attention: whole sequences");
    require(write().width == w.heads * w.head_dim, "attention: one row out for each in");
    if (w.head_dim > AttendSimply<float>::largest_head) throw BackendUnavailable("attention: heads of at most 256 elements");
  }
  void operator()(const hw::Embedding<Extent>&) const {
    require(op_.reads.at(0).rows == write().rows && read(1).width == write().width, "embedding: a row of the table for each id");
  }
  void operator()(const hw::RmsNorm<Extent>&) const { same_shape("norm: one row out for each in"); }
  void operator()(const hw::Rope<Extent>& w) const {
    require(op_.reads.at(0).data == op_.writes.at(0).data, "rotary embedding: in place");
    require(w.head_dim > 0 && w.head_dim % 2 == 0 && w.width % w.head_dim == 0 && w.width <= write().width && w.sequence_length > 0,
            "rotary embedding: whole heads of an even size");
  }
  void operator()(const hw::ResidualAdd<Extent>&) const {
    same_shape("residual: equal shapes");
    require(read(1).rows == write().rows && read(1).width == write().width, "residual: equal shapes");
  }
  void operator()(const hw::Activation<Extent>& w) const {
    require(read(0).rows == write().rows && read(0).width == (w.gated ? 2 : 1) * write().width, "activation: as many rows out as in");
  }
  void operator()(const hw::Router<Extent>&) const {
    const auto choices = static_cast<std::size_t>(op_.writes.at(0).rows * (op_.writes[0].row_bytes / choice_bytes));
    require(read(0).rows == op_.writes[0].rows && op_.table.size() == choices, "router: experts for each token");
    require_rows_in(op_.table, read(1).width, ir::RoutingPlan::no_expert, "router: experts that there are");
  }
  void operator()(const hw::Permute<Extent>&) const {
    require(read(0).width == write().width && op_.table.size() == static_cast<std::size_t>(write().rows),
            "permutation: a row read for each written");
    require_rows_in(op_.table, read(0).rows, 0, "permutation: rows of its input");
  }
  void operator()(const hw::WeightedSum<Extent>&) const {
    const auto choices = static_cast<std::size_t>(op_.reads.at(1).rows * (op_.reads[1].row_bytes / choice_bytes));
    require(op_.reads[1].rows == write().rows && op_.table.size() == choices && read(0).width == write().width,
            "weighted sum: a place for each choice");
    require_rows_in(op_.table, read(0).rows, -1, "weighted sum: rows of its input");
  }
  void operator()(const ir::Collective&) const {}
  void operator()(const ir::AllToAll&) const {}
  void operator()(const ir::Send&) const {}
  void operator()(const ir::Recv&) const {}

 private:
  [[nodiscard]] Rows read(std::size_t index) const { return rows_of(op_.reads.at(index), is_bf16_); }
  [[nodiscard]] Rows write() const { return rows_of(op_.writes.at(0), is_bf16_); }
  void same_shape(const char* what) const { require(read(0).rows == write().rows && read(0).width == write().width, what); }

  const BoundOp& op_;
  bool is_bf16_;
};

class Enqueue {
 public:
  Enqueue(const BoundOp& op, const OpTables& tables, const ComputeSpace& space, const Libraries& libraries)
      : op_(op), tables_(tables), space_(space), gemms_(libraries.gemms), attentions_(libraries.attentions), stream_(space.stream()) {}

  void operator()(const hw::Gemm<Extent>&) const { multiply(product_of(op_, space_.is_bf16())); }

  /// Experts side by side on their own streams, which fork from the compute stream and join it again.
  void operator()(const hw::GroupedGemm<ir::ExpertRows>& w) const {
    const std::vector<Product> experts = products_of_experts(op_, w.k, space_.is_bf16());
    const std::size_t streams = std::min(space_.expert_streams(), experts.size());
    if (streams < 2) {
      for (const Product& product : experts) multiply(product);
      return;
    }
    check(cudaEventRecord(space_.fork(), stream_));
    for (std::size_t s = 0; s < streams; ++s) check(cudaStreamWaitEvent(space_.expert_stream(s), space_.fork()));
    for (std::size_t e = 0; e < experts.size(); ++e) {
      const std::size_t s = e % streams;
      gemms_.run(experts[e].shape, experts[e].operands, {space_.expert_stream(s), space_.workspace(1 + s)});
    }
    for (std::size_t s = 0; s < streams; ++s) {
      check(cudaEventRecord(space_.join(s), space_.expert_stream(s)));
      check(cudaStreamWaitEvent(stream_, space_.join(s)));
    }
  }

  void operator()(const hw::Attention<Extent>& w) const {
    attentions_.run(read(0), sizes_of(w, read(0).rows), write(), {stream_, space_.workspace(0)});
  }
  void operator()(const hw::Embedding<Extent>&) const {
    launch_embed(reinterpret_cast<const std::int32_t*>(op_.reads[0].data), read(1), op_.first_id, write(), stream_);
  }
  void operator()(const hw::RmsNorm<Extent>&) const { launch_rms_norm(read(0), op_.reads.at(1).data, norm_epsilon, write(), stream_); }
  void operator()(const hw::Rope<Extent>& w) const {
    launch_rotate(write(), tables_.turns, w.width / w.head_dim, w.head_dim, w.sequence_length, stream_);
  }
  void operator()(const hw::ResidualAdd<Extent>&) const { launch_add(read(0), read(1), write(), stream_); }
  void operator()(const hw::Activation<Extent>& w) const {
    w.gated ? launch_silu_gate(read(0), write(), stream_) : launch_gelu(read(0), write(), stream_);
  }
  void operator()(const hw::Router<Extent>&) const {
    const Product scores = scores_of(op_, space_);
    multiply(scores);
    auto* const out = reinterpret_cast<Choice*>(op_.writes[0].data);
    launch_choose_experts({space_.scores(), tables_.rows, out, scores.shape.n, op_.writes[0].row_bytes / choice_bytes},
                          op_.writes[0].rows, stream_);
  }
  void operator()(const hw::Permute<Extent>&) const {
    launch_permute(op_.reads[0].data, tables_.rows, op_.writes[0].data, op_.writes[0].rows, op_.writes[0].row_bytes, stream_);
  }
  void operator()(const hw::WeightedSum<Extent>&) const {
    launch_sum_weighted(op_.reads[0].data, tables_.rows, reinterpret_cast<const Choice*>(op_.reads[1].data),
                        op_.reads[1].row_bytes / choice_bytes, write(), stream_);
  }
  void operator()(const ir::Collective&) const { refuse(); }
  void operator()(const ir::AllToAll&) const { refuse(); }
  void operator()(const ir::Send&) const { refuse(); }
  void operator()(const ir::Recv&) const { refuse(); }

 private:
  [[nodiscard]] Rows read(std::size_t index) const { return rows_of(op_.reads[index], space_.is_bf16()); }
  [[nodiscard]] Rows write() const { return rows_of(op_.writes[0], space_.is_bf16()); }
  void multiply(const Product& product) const { gemms_.run(product.shape, product.operands, {stream_, space_.workspace(0)}); }
  [[noreturn]] static void refuse() { throw std::logic_error("communication is the transport's"); }

  const BoundOp& op_;
  OpTables tables_;
  const ComputeSpace& space_;
  Gemms& gemms_;
  Attentions& attentions_;
  cudaStream_t stream_;
};

}  // namespace

void prepare(const BoundOp& op, const ComputeSpace& space, const Libraries& libraries) {
  std::visit(Check(op, space.is_bf16()), op.op->work);
  for (const Product& product : products(op, space)) libraries.gemms.prepare(product.shape, product.operands);
  if (const auto* attention = std::get_if<hw::Attention<Extent>>(&op.op->work)) {
    const Rows qkv = rows_of(op.reads.at(0), space.is_bf16()), out = rows_of(op.writes.at(0), space.is_bf16());
    libraries.attentions.prepare(qkv, sizes_of(*attention, qkv.rows), out, {space.stream(), space.workspace(0)});
  }
}

void tune(const BoundOp& op, const ComputeSpace& space, Gemms& gemms) {
  for (const Product& product : products(op, space)) gemms.tune(product.shape, product.operands, {space.stream(), space.workspace(0)});
}

void compute(const BoundOp& op, const OpTables& tables, const ComputeSpace& space, const Libraries& libraries) {
  std::visit(Enqueue(op, tables, space, libraries), op.op->work);
}

void multiply_in_turn(const BoundOp& op, const ComputeSpace& space, Gemms& gemms) {
  for (const Product& product : products(op, space)) gemms.run(product.shape, product.operands, {space.stream(), space.workspace(0)});
}

std::size_t count_products(const BoundOp& op, const ComputeSpace& space) { return products(op, space).size(); }

void prepare_computation(const ir::Schedule& schedule, const DeviceRank& rank, const Libraries& libraries) {
  for (const BoundOp& op : rank.ops()) {
    try {
      prepare(op, rank.space(), libraries);
    } catch (const BackendUnavailable& error) {
      throw BackendUnavailable(ir::describe(schedule, rank.rank(), op.index) + ": " + error.what());
    } catch (const std::exception& error) {
      throw ExecutionError(ir::describe(schedule, rank.rank(), op.index) + ": " + error.what(), ExecutionError::Place{rank.rank(), op.index});
    }
  }
}

void tune_computation(const DeviceRank& rank, Gemms& gemms) {
  for (const BoundOp& op : rank.ops()) tune(op, rank.space(), gemms);
}

void load_kernels(const DeviceRank& rank, const Libraries& libraries) {
  for (const BoundOp& op : rank.ops()) {
    if (!ir::communicates(op.op->work)) compute(op, rank, libraries);
  }
  check(cudaStreamSynchronize(rank.stream(ir::compute_stream)));
}

void compute(const BoundOp& op, const DeviceRank& rank, const Libraries& libraries) {
  compute(op, rank.tables(op.index), rank.space(), libraries);
}

}  // namespace fabricast::runtime::cuda
