#include "strategies/ir/schedule_json.hpp"

#include <doctest/doctest.h>

#include <string>
#include <variant>
#include <vector>

#include "hardware_models/json_reader.hpp"
#include "tests/strategies/ir/hand_made.hpp"

namespace fabricast::ir::schedule_json_test {

namespace {

using hw::JsonNode;

/// Every kind of work once.
HandMade all_kinds() {
  RoutingShape shape;
  shape.layers = 2, shape.chunks = 2, shape.sources = 4, shape.experts = 4, shape.top_k = 2, shape.expert_positions = 2, shape.tokens = 6;
  HandMade made = ExpertGrid{2, 2, 1, false}.make(block_plan(shape));
  const auto p = hw::Precision::bf16;
  const Extent sent{Extent::Of::rows_sent, 3, {1, 0, 1}};
  const BufferId a = made.buffer(sent), w = made.buffer(rows(8), BufferKind::dense_weights);
  made.schedule().programs[0].buffers[w.index()].shard = ParameterShard{1, {4, 4}, ParameterShard::Split::columns, Axis::tensor, false};
  const std::vector<Work> works{hw::Gemm<Extent>{rows(2), 3, 4, p},
                                hw::GroupedGemm<ExpertRows>{{}, 3, 4, p},
                                hw::Attention<Extent>{rows(1), 2, 3, 4, 5, 6, true, p},
                                hw::Embedding<Extent>{rows(1), 2, 3, p},
                                hw::RmsNorm<Extent>{rows(1), 2, p},
                                hw::Rope<Extent>{rows(1), 2, p, 3, 4},
                                hw::ResidualAdd<Extent>{rows(1), 2, p},
                                hw::Activation<Extent>{rows(1), 2, true, p},
                                hw::Router<Extent>{rows(1), 2, 3, 4, p},
                                hw::Permute<Extent>{sent, 2, p, hw::RowOrder::by_expert},
                                hw::WeightedSum<Extent>{rows(1), sent, 2, p},
                                collective(hw::CollectiveKind::all_gather, Axis::tensor, 4),
                                AllToAll{AllToAll::Direction::combine, {1, 0, 1}, 4},
                                Send{Axis::tensor, 1, 2, rows(3), 4},
                                Recv{Axis::tensor, 1, 2, rows(3), 4}};
  REQUIRE(works.size() == std::variant_size_v<Work>);
  made.op(0, compute(), {}, {slice(w, 2, 3)}, {whole(a)});
  for (const Work& work : works) made.op(0, work, {OpIndex{0}}, {whole(a)});
  return made;
}

const JsonNode::Array& array(const JsonNode& node, const char* key) { return std::get<JsonNode::Array>(node.find(key)->value); }
std::int64_t number(const JsonNode& node, const char* key) { return std::get<std::int64_t>(node.find(key)->value); }
std::string text(const JsonNode& node, const char* key) { return std::get<std::string>(node.find(key)->value); }

}  // namespace

TEST_CASE("a dump holds programs once, ranks as bindings, and every op with its kind") {
  HandMade made = all_kinds();
  const Schedule& s = made.schedule();
  const JsonNode dump = hw::parse_json_text(to_json(s), "dump");
  REQUIRE(array(dump, "programs").size() == 1);
  REQUIRE(array(dump, "ranks").size() == 4);
  CHECK(array(dump, "groups").size() == s.groups.size());
  const JsonNode& program = array(dump, "programs")[0];
  const auto& ops = array(program, "ops");
  REQUIRE(ops.size() == s.programs[0].ops.size());
  for (std::size_t i = 0; i < ops.size(); ++i) CHECK(text(*ops[i].find("work"), "kind") == kind_of(s.programs[0].ops[i].work));
  CHECK(array(ops[1], "after").size() == 1);
  CHECK(number(array(ops[0], "reads")[0], "first") == 2);
  CHECK(number(array(ops[0], "reads")[0], "rows") == 3);
  CHECK(array(ops[0], "writes")[0].find("rows") == nullptr);
  CHECK(number(*array(dump, "ranks")[3].find("groups")->find("expert"), "member") == 1);
  CHECK(number(*dump.find("routing"), "experts") == 4);
}

TEST_CASE("a symbolic row count says what it asks of the routing plan") {
  const JsonNode dump = hw::parse_json_text(to_json(all_kinds().schedule()), "dump");
  const JsonNode& symbolic = *array(array(dump, "programs")[0], "buffers")[0].find("rows");
  CHECK(text(symbolic, "of") == "rows_sent");
  CHECK(number(symbolic, "scale") == 3);
  CHECK(number(symbolic, "layer") == 1);
  CHECK(number(symbolic, "chunk") == 1);
  const JsonNode& shard = *array(array(dump, "programs")[0], "buffers")[1].find("shard");
  CHECK(text(shard, "split") == "columns");
  CHECK(array(shard, "column_blocks").size() == 2);
}

TEST_CASE("labels with quotes and breaks survive the dump") {
  HandMade made = all_kinds();
  made.schedule().labels[0] = "layer \"3\"\n\\";
  made.schedule().programs[0].name = "a\tb";
  const JsonNode dump = hw::parse_json_text(to_json(made.schedule()), "dump");
  CHECK(text(array(array(dump, "programs")[0], "ops")[0], "scope") == "layer \"3\"\n\\");
  CHECK(text(array(dump, "programs")[0], "name") == "a\tb");
}

TEST_CASE("a schedule without ranks, ops or routing is a valid document") {
  const JsonNode dump = hw::parse_json_text(to_json(Schedule{}), "dump");
  CHECK(array(dump, "programs").empty());
  CHECK(std::holds_alternative<std::nullptr_t>(dump.find("routing")->value));
}

}  // namespace fabricast::ir::schedule_json_test
