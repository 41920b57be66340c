#include "strategies/ir/schedule_json.hpp"

#include <fmt/format.h>

#include <stdexcept>

#include "hardware_models/json_text.hpp"
#include "strategies/ir/work_json.hpp"

namespace fabricast::ir {

namespace {

using hw::json_quote;

template <class Items, class Write>
std::string list(const Items& items, std::string_view separator, Write write) {
  std::string text;
  for (const auto& item : items) {
    if (!text.empty()) text += separator;
    text += write(item);
  }
  return text;
}

/// One item a line.
template <class Items, class Write>
std::string lines(const Items& items, std::string_view indent, Write write) {
  if (items.empty()) return "[]";
  const std::string separator = fmt::format(",\n{}  ", indent);
  return fmt::format("[\n{0}  {1}\n{0}]", indent, list(items, separator, write));
}

std::string_view name_of(ParameterShard::Split split) {
  switch (split) {
    case ParameterShard::Split::none: return "none";
    case ParameterShard::Split::rows: return "rows";
    case ParameterShard::Split::columns: return "columns";
  }
  throw std::invalid_argument("unknown split");
}

std::string shard_json(const ParameterShard& shard) {
  const auto number = [](std::int64_t value) { return fmt::format("{}", value); };
  return fmt::format(R"({{"layer": {}, "column_blocks": [{}], "split": "{}", "axis": "{}", "per_expert": {}}})", shard.layer,
                     list(shard.column_blocks, ", ", number), name_of(shard.split), name_of(shard.axis), shard.per_expert);
}

std::string slice_json(const BufferSlice& slice) {
  const std::string rows = slice.rows ? fmt::format(R"(, "rows": {})", extent_json(*slice.rows)) : "";
  return fmt::format(R"({{"buffer": {}, "first": {}{}}})", slice.buffer.value, extent_json(slice.first), rows);
}

class ScheduleText {
 public:
  explicit ScheduleText(const Schedule& schedule) : schedule_(schedule) {}

  [[nodiscard]] std::string write() const {
    const auto program = [&](const Program& p) { return program_json(p); };
    const auto group = [](const Group& g) { return group_json(g); };
    const auto rank = [](const RankBinding& b) { return rank_json(b); };
    return fmt::format("{{\n  \"tokens\": {},\n  \"routing\": {},\n  \"programs\": {},\n  \"groups\": {},\n  \"ranks\": {}\n}}\n",
                       schedule_.tokens, routing_json(), lines(schedule_.programs, "  ", program), lines(schedule_.groups, "  ", group),
                       lines(schedule_.ranks, "  ", rank));
  }

 private:
  [[nodiscard]] std::string quoted(LabelId id) const { return json_quote(schedule_.label(id)); }

  [[nodiscard]] std::string routing_json() const {
    if (schedule_.routing.empty()) return "null";
    const RoutingShape& s = schedule_.routing.shape();
    return fmt::format(
        R"({{"counts": "{}", "layers": {}, "micro_batches": {}, "chunks": {}, "sources": {}, "experts": {}, "top_k": {}, )"
        R"("expert_positions": {}, "tokens": {}}})",
        schedule_.routing.is_uniform() ? "uniform" : "table", s.layers, s.micro_batches, s.chunks, s.sources, s.experts, s.top_k,
        s.expert_positions, s.tokens);
  }

  [[nodiscard]] std::string program_json(const Program& program) const {
    const auto buffer = [&](const BufferSpec& b) { return buffer_json(b); };
    const auto op = [&](const Op& o) { return op_json(o); };
    return fmt::format("{{\n      \"name\": {},\n      \"streams\": [{}],\n      \"buffers\": {},\n      \"ops\": {}\n    }}",
                       json_quote(program.name), list(program.streams, ", ", [](const std::string& s) { return json_quote(s); }),
                       lines(program.buffers, "      ", buffer), lines(program.ops, "      ", op));
  }

  [[nodiscard]] std::string buffer_json(const BufferSpec& buffer) const {
    const std::string shard = buffer.shard ? fmt::format(R"(, "shard": {})", shard_json(*buffer.shard)) : "";
    return fmt::format(R"({{"label": {}, "kind": "{}", "rows": {}, "row_bytes": {}{}}})", quoted(buffer.label), ir::name_of(buffer.kind),
                       extent_json(buffer.rows), buffer.row_bytes, shard);
  }

  [[nodiscard]] std::string op_json(const Op& op) const {
    const auto edge = [](OpIndex before) { return fmt::format("{}", before.value); };
    return fmt::format(R"({{"label": {}, "scope": {}, {}, "stream": {}, "work": {}, "after": [{}], "reads": [{}], "writes": [{}]}})",
                       quoted(op.label), quoted(op.scope), step_json(op.step), op.stream.value, work_json(op.work),
                       list(op.after, ", ", edge), list(op.reads, ", ", slice_json), list(op.writes, ", ", slice_json));
  }

  static std::string group_json(const Group& group) {
    const auto member = [](Rank rank) { return fmt::format("{}", rank.value); };
    return fmt::format(R"({{"axis": "{}", "members": [{}]}})", name_of(group.axis), list(group.members, ", ", member));
  }

  static std::string rank_json(const RankBinding& b) {
    const Coordinates& at = b.at;
    std::string groups;
    for (std::size_t a = 0; a < axis_count; ++a) {
      groups += fmt::format(R"({}"{}": {{"group": {}, "member": {}}})", a == 0 ? "" : ", ", name_of(static_cast<Axis>(a)),
                            b.groups[a].value, b.members[a]);
    }
    return fmt::format(
        R"({{"program": {}, "gpu": {}, "at": {{"stage": {}, "tensor": {}, "context": {}, "data": {}, "expert": {}, "expert_tensor": {}, )"
        R"("expert_data": {}}}, "source": {}, "sources_dispatched": {}, "groups": {{{}}}}})",
        b.program.value, b.gpu.value, at.stage, at.tensor, at.context, at.data, at.expert, at.expert_tensor, at.expert_data, b.source,
        b.sources_dispatched, groups);
  }

  const Schedule& schedule_;
};

}  // namespace

std::string to_json(const Schedule& schedule) { return ScheduleText(schedule).write(); }

}  // namespace fabricast::ir
