#include "strategies/program_builder.hpp"

#include <doctest/doctest.h>

namespace fabricast::program_builder_test {

using namespace fabricast;
using namespace fabricast::strategy;
using ir::Extent;

namespace {

const ir::Work any_work = hw::RmsNorm<Extent>{Extent::constant(1), 1, hw::Precision::bf16};

struct Fixture {
  LabelTable labels;
  ProgramBuilder builder{"test", {"compute", "a", "b"}, labels};
  ir::BufferId buffer() { return builder.buffer("x", ir::BufferKind::activations, Extent::constant(10), 1); }
  ir::OpIndex add(int stream, std::vector<ir::BufferSlice> reads, std::vector<ir::BufferSlice> writes) {
    return builder.add(ir::StreamId{stream}, "op", any_work, std::move(reads), std::move(writes));
  }
};

}  // namespace

TEST_CASE("a reader on another stream waits for the writer, one on the same stream needs no edge") {
  Fixture f;
  const auto x = f.buffer();
  const auto writer = f.add(0, {}, {whole(x)});
  f.add(0, {whole(x)}, {});
  f.add(1, {whole(x)}, {});
  const auto program = f.builder.finish();
  CHECK(program.ops[1].after.empty());
  CHECK(program.ops[2].after == std::vector{writer});
}

TEST_CASE("an edge that other edges imply is left out") {
  Fixture f;
  const auto x = f.buffer(), y = f.buffer();
  f.add(0, {}, {whole(x)});
  const auto middle = f.add(1, {whole(x)}, {whole(y)});
  f.add(2, {whole(x), whole(y)}, {});  // waits for `middle`, which waited for the writer of x
  CHECK(f.builder.finish().ops[2].after == std::vector{middle});
}

TEST_CASE("views that share no rows do not order their ops, views that share one do") {
  Fixture f;
  const auto x = f.buffer();
  f.add(0, {}, {rows_of(x, 0, 5)});
  const auto upper = f.add(1, {}, {rows_of(x, 5, 5)});
  f.add(2, {rows_of(x, 5, 5)}, {});
  f.add(2, {rows_of(x, 4, 2)}, {});
  const auto program = f.builder.finish();
  CHECK(program.ops[1].after.empty());
  CHECK(program.ops[2].after == std::vector{upper});
  CHECK(program.ops[3].after == std::vector{ir::OpIndex{0}});
}

TEST_CASE("a writer waits for earlier readers of what it overwrites, readers not for each other") {
  Fixture f;
  const auto x = f.buffer();
  f.add(0, {}, {whole(x)});
  const auto reader_a = f.add(1, {whole(x)}, {});
  const auto reader_b = f.add(2, {whole(x)}, {});
  f.add(0, {}, {whole(x)});
  const auto program = f.builder.finish();
  CHECK(program.ops[2].after == std::vector{ir::OpIndex{0}});
  CHECK(program.ops[3].after == std::vector{reader_a, reader_b});
}

}  // namespace fabricast::program_builder_test
