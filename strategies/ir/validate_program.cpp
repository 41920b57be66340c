// Is one program well formed, apart from the order of its accesses?
#include <fmt/format.h>

#include "strategies/ir/validate.hpp"
#include "strategies/ir/validate_parts.hpp"
#include "strategies/ir/work_sizes.hpp"

namespace fabricast::ir {

namespace {

template <class Meaning, class Items>
bool in_range(Id<Meaning> id, const Items& items) {
  return id.value >= 0 && id.index() < items.size();
}

class ProgramCheck {
 public:
  ProgramCheck(const Schedule& schedule, Rank rank) : schedule_(schedule), program_(schedule.program_of(rank)), rank_(rank) {}

  void run() {
    for (std::size_t b = 0; b < program_.buffers.size(); ++b) check_buffer(b);
    for (std::size_t i = 0; i < program_.ops.size(); ++i) {
      where_ = OpIndex{static_cast<std::int32_t>(i)};
      check_op(program_.ops[i]);
    }
  }

 private:
  [[noreturn]] void fail(const std::string& message) const {
    throw ScheduleError(fmt::format("{}: {}", describe(schedule_, rank_, where_), message));
  }

  void check_buffer(std::size_t index) const {
    const BufferSpec& buffer = program_.buffers[index];
    const auto where = [&] { return fmt::format("rank {}, program \"{}\", buffer {}", rank_.value, program_.name, index); };
    if (!in_range(buffer.label, schedule_.labels)) {
      throw ScheduleError(fmt::format("{}: label {} does not exist", where(), buffer.label.value));
    }
    if (buffer.row_bytes < 0) throw ScheduleError(fmt::format("{}: {} bytes a row", where(), buffer.row_bytes));
    if (const auto wrong = wrong_extent(buffer.rows)) {
      throw ScheduleError(fmt::format("{} ({}): {}", where(), schedule_.label(buffer.label), *wrong));
    }
  }

  void check_op(const Op& op) const {
    if (!in_range(op.label, schedule_.labels)) fail("its label does not exist");
    if (!in_range(op.scope, schedule_.labels)) fail("its scope does not exist");
    if (!in_range(op.stream, program_.streams)) {
      fail(fmt::format("stream {} does not exist; the program has {}", op.stream.value, program_.streams.size()));
    }
    if (!communicates(op.work) && op.stream != compute_stream) {
      fail(fmt::format("{} runs on stream {}; computation belongs on stream 0", kind_of(op.work), op.stream.value));
    }
    for (const OpIndex before : op.after) check_edge(before);
    check_sizes(op.work);
    for (const BufferSlice& slice : op.reads) check_slice(slice);
    for (const BufferSlice& slice : op.writes) check_written(slice);
  }

  void check_edge(OpIndex before) const {
    if (before.value >= 0 && before < where_) return;
    fail(fmt::format("waits for op {}, which is not before it; edges must point backwards", before.value));
  }

  void check_sizes(const Work& work) const {
    for_each_size(
        work, Overloaded{[&](const Extent& extent) {
                           if (const auto wrong = wrong_extent(extent)) fail(*wrong);
                         },
                         [&](const ExpertRows& rows) { require_step(rows.step); }, [&](const RoutingStep& step) { require_step(step); }});
    const auto* collective = std::get_if<Collective>(&work);
    if (collective && (collective->kind == hw::CollectiveKind::all_to_all || collective->kind == hw::CollectiveKind::send)) {
      fail(fmt::format("a Collective cannot be of kind {}; use AllToAll, or Send and Recv", name_of(collective->kind)));
    }
  }

  void require_step(const RoutingStep& step) const {
    if (const auto wrong = wrong_step(step)) fail(*wrong);
  }

  [[nodiscard]] std::optional<std::string> wrong_extent(const Extent& extent) const {
    if (extent.scale < 0) return fmt::format("a negative number of rows, {}", extent.scale);
    return extent.of == Extent::Of::constant ? std::nullopt : wrong_step(extent.step);
  }

  [[nodiscard]] std::optional<std::string> wrong_step(const RoutingStep& step) const {
    const RoutingShape& shape = schedule_.routing.shape();
    if (!schedule_.routing.has_placement()) return "asks the routing plan, which has no experts placed; call place_experts";
    const auto inside = [](std::int32_t value, std::int32_t end) { return value >= 0 && value < end; };
    if (inside(step.layer, shape.layers) && inside(step.micro_batch, shape.micro_batches) && inside(step.chunk, shape.chunks)) return {};
    return fmt::format("asks the routing plan for layer {}, micro-batch {}, chunk {}; it has {}, {}, {}", step.layer, step.micro_batch,
                       step.chunk, shape.layers, shape.micro_batches, shape.chunks);
  }

  void check_slice(const BufferSlice& slice) const {
    if (!in_range(slice.buffer, program_.buffers)) {
      fail(fmt::format("buffer {} does not exist; the program has {}", slice.buffer.value, program_.buffers.size()));
    }
    if (const auto wrong = wrong_extent(slice.first)) fail(*wrong);
    if (slice.rows) {
      if (const auto wrong = wrong_extent(*slice.rows)) fail(*wrong);
    }
    const BufferSpec& buffer = program_.buffers[slice.buffer.index()];
    const auto constant = [](const Extent& extent) { return extent.of == Extent::Of::constant; };
    if (!constant(buffer.rows) || !constant(slice.first) || (slice.rows && !constant(*slice.rows))) return;
    const std::int64_t last = slice.first.scale + (slice.rows ? slice.rows->scale : 0);
    if (last > buffer.rows.scale) {
      fail(fmt::format("rows [{}, {}) of buffer {} ({}) lie beyond its {}", slice.first.scale, last, slice.buffer.value,
                       schedule_.label(buffer.label), buffer.rows.scale));
    }
  }

  void check_written(const BufferSlice& slice) const {
    check_slice(slice);
    const BufferSpec& buffer = program_.buffers[slice.buffer.index()];
    if (!is_parameter(buffer.kind) && buffer.kind != BufferKind::input) return;
    fail(fmt::format("writes buffer {} ({}), whose kind {} is read only", slice.buffer.value, schedule_.label(buffer.label),
                     name_of(buffer.kind)));
  }

  const Schedule& schedule_;
  const Program& program_;
  Rank rank_;
  OpIndex where_{};
};

}  // namespace

void check_program(const Schedule& schedule, Rank rank) { ProgramCheck(schedule, rank).run(); }

}  // namespace fabricast::ir
