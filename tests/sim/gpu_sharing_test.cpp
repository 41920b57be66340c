#include "sim/gpu_sharing.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "sim/simulate.hpp"
#include "tests/sim/random.hpp"
#include "tests/sim/random_schedule.hpp"
#include "tests/sim/replays.hpp"
#include "tests/strategies/ir/hand_made.hpp"

namespace fabricast::gpu_sharing_test {

using namespace fabricast;
using hw::CollectiveKind;
using hw::GpuLoad;
using ir::Axis;
using ir::HandMade;
using sim::Fidelity;
using tests::ideal_cluster;
using tests::replay;

namespace {

constexpr std::uint32_t ends = 0, changes = 1;
const Rank rank_0{0};
const ir::OpIndex op_0{0};

/// A change of what is held, at a time.
struct Change {
  SimTime at;
  GpuLoad hold, release;
};

GpuLoad memory(double bytes_per_second) { return {0, BytesPerSecond(bytes_per_second)}; }

/// When a pass over so many rows ends, started at 0 on an ideal GPU of 1e12 B/s whose load changes so.
SimTime end_of_pass(std::int64_t rows, const std::vector<Change>& load) {
  HandMade made(1);
  made.op(0, ir::compute(rows));
  const hw::ClusterSpec cluster = ideal_cluster(1, 1);
  const hw::Topology topology(cluster);
  const sim::CostModel cost = sim::cost_model(cluster);
  sim::ComputeTimes times(made.schedule(), cost, topology);
  sim::Engine engine;
  sim::GpuSharing sharing(engine, ends, times, 1);
  for (std::uint32_t i = 0; i < load.size(); ++i) engine.schedule(load[i].at, {changes, i, 0});
  sharing.start(rank_0, op_0);
  std::optional<SimTime> end;
  engine.run([&](const sim::Event& event) {
    if (event.kind == changes) {
      sharing.hold(rank_0, load[event.subject].hold);
      sharing.release(rank_0, load[event.subject].release);
    } else if (sharing.end(rank_0, op_0)) {
      REQUIRE(!end);
      end = engine.now();
    }
  });
  return end.value();
}

SimTime alone(std::int64_t rows) { return end_of_pass(rows, {}); }

/// A pass on stream 0 beside an all-gather of 4 MB shards between two GPUs, 10 us at 400 GB/s. 10 TB/s of memory.
hw::ClusterSpec two_gpus() {
  hw::ClusterSpec cluster = ideal_cluster(1, 2);
  cluster.gpu.memory_bandwidth = BytesPerSecond(10e12);
  cluster.gpu.streaming_multiprocessors = 100;
  return cluster;
}

HandMade pass_beside_gather(std::int64_t rows) {
  HandMade made(2);
  made.group(Axis::tensor, {0, 1});
  made.op(0, ir::compute(rows));
  made.op(1, ir::collective(CollectiveKind::all_gather, Axis::tensor, 2'000'000));
  return made;
}

}  // namespace

// Half the bandwidth from a to b: (b − a) / 2 of the work is done meanwhile, so end = alone + (b − a) / 2.
TEST_CASE("a kernel goes on at a new rate when the load changes, and at the old one when it changes back") {
  const SimTime whole = alone(1'000'000), a = SimTime(3'000'000), b = SimTime(9'000'000);
  REQUIRE(whole > SimTime(30'000'000));
  CHECK(end_of_pass(1'000'000, {{a, memory(0.5e12), {}}, {b, {}, memory(0.5e12)}}) == whole + (b - a) / 2);
}

// Half the bandwidth from a on: end = a + 2 · (alone − a).
TEST_CASE("what is left of a kernel when a load comes to stay takes longer by the ratio of the rates") {
  const SimTime whole = alone(1'000'000), a = SimTime(5'000'000);
  CHECK(end_of_pass(1'000'000, {{a, memory(0.5e12), {}}}) == a + 2 * (whole - a));
}

TEST_CASE("a kernel that starts under a load which soon goes takes the rest at full rate") {
  const SimTime whole = alone(1'000'000), b = SimTime(8'000'000);
  CHECK(end_of_pass(1'000'000, {{SimTime(0), memory(0.5e12), {}}, {b, {}, memory(0.5e12)}}) == whole + b / 2);
}

// Between two that both want all of the memory each gets half: no load makes a kernel wait longer than twice its time.
TEST_CASE("a load beyond the memory's bandwidth leaves half of it") {
  const SimTime whole = alone(1'000'000);
  const SimTime beside = end_of_pass(1'000'000, {{SimTime(0), memory(7e12), {}}});
  CHECK(beside <= 2 * whole);
  CHECK(beside >= 2 * whole - SimTime(1));   // both are rounded up
}

// Work done = Σ interval · rate = the whole. Each change loses less than 1 ps of it and the end is rounded up.
TEST_CASE("however often the load changes, the work done is the whole, to a picosecond per change") {
  tests::Random random(11);
  for (int repetition = 0; repetition < 200; ++repetition) {
    const std::int64_t rows = random.between(1'000, 1'000'000);
    const SimTime whole = alone(rows);
    std::vector<Change> load;
    std::vector<double> held{0.0};
    SimTime at{};
    for (std::int64_t i = random.between(0, 20); i > 0; --i) {
      at += SimTime(random.between(0, whole.value() / 8));
      const double next = static_cast<double>(random.between(0, 500)) * 1e9;
      load.push_back({at, memory(next), memory(held.back())});
      held.push_back(next);
    }
    const SimTime end = end_of_pass(rows, load);
    double done = 0.0;
    for (std::size_t i = 0; i <= load.size(); ++i) {
      const SimTime from = i == 0 ? SimTime(0) : load[i - 1].at, to = i == load.size() ? end : load[i].at;
      done += static_cast<double>((std::min(to, end) - std::min(from, end)).value()) * (1.0 - held[i] / 1e12);
    }
    const double changes_made = static_cast<double>(load.size()) + 1;
    // The rate is itself a quotient of whole picoseconds: relative 1 / whole.
    CHECK(done >= static_cast<double>(whole.value()) - 1.0 - changes_made);
    CHECK(done <= static_cast<double>(whole.value()) + 2.0 + 2.0 * changes_made);
  }
}

// The gather draws d for 10 us: the pass loses d / B of that time, end = alone + 10 us · d / B.
TEST_CASE("a pass beside a collective loses the share of memory bandwidth that the collective draws") {
  const hw::ClusterSpec cluster = two_gpus();
  const auto footprint =
      hw::CollectiveModel(cluster.collectives).footprint(CollectiveKind::all_gather, hw::CollectiveAlgorithm::ring, Bytes(8'000'000));
  const double draw = 4e6 * (footprint.hbm_per_byte_sent + footprint.hbm_per_byte_received) / 10e-6;
  HandMade made = pass_beside_gather(10'000'000);
  const double apart = tests::seconds(tests::last_end(replay(cluster, made.schedule(), {.interference = false}).trace));
  REQUIRE(apart > 20e-6);
  const auto together = replay(cluster, made.schedule());
  CHECK(together.trace.ops[0][1].end == SimTime(10'000'000));
  CHECK(tests::seconds(together.slowed_by[0]) == doctest::Approx(10e-6 * draw / 10e12).epsilon(1e-6));
  CHECK(tests::seconds(together.trace.ops[0][0].end) == doctest::Approx(apart + 10e-6 * draw / 10e12).epsilon(1e-6));
}

// 200 tiles on 100 SMs are two waves, and three on what the channels of a gather leave (67 to 99). Held throughout: 3/2 of the time.
TEST_CASE("a GEMM beside a collective runs on the SMs that the collective leaves") {
  hw::ClusterSpec cluster = two_gpus();
  cluster.gpu.memory_bandwidth = BytesPerSecond(1e18);
  cluster.gpu.gemm.split_k = 1 << 20;
  HandMade made(2);
  made.group(Axis::tensor, {0, 1});
  made.op(0, hw::Gemm<ir::Extent>{ir::rows(128 * 20), 128 * 10, 4096, hw::Precision::bf16});
  made.op(1, ir::collective(CollectiveKind::all_gather, Axis::tensor, 200'000'000));
  const SimTime apart = replay(cluster, made.schedule(), {.interference = false}).trace.ops[0][0].end;
  const SimTime beside = replay(cluster, made.schedule()).trace.ops[0][0].end;
  CHECK(tests::seconds(beside) == doctest::Approx(1.5 * tests::seconds(apart)).epsilon(1e-9));
}

// NCCL's kernel is launched when its stream comes to it and spins until its peers arrive.
TEST_CASE("a collective that waits for a peer holds its SMs already") {
  hw::ClusterSpec cluster = two_gpus();
  cluster.gpu.memory_bandwidth = BytesPerSecond(1e18);
  cluster.gpu.gemm.split_k = 1 << 20;
  HandMade made(2);
  made.own_program(1);
  made.group(Axis::tensor, {0, 1});
  const hw::Gemm<ir::Extent> gemm{ir::rows(128 * 20), 128 * 10, 4096, hw::Precision::bf16};
  made.op_of(0, 0, gemm);
  made.op_of(0, 1, ir::collective(CollectiveKind::all_gather, Axis::tensor, 1000));
  for (int i = 0; i < 2; ++i) made.op_of(1, 0, gemm);   // as long as the other's GEMM on fewer SMs, and longer
  made.op_of(1, 0, ir::collective(CollectiveKind::all_gather, Axis::tensor, 1000));
  const auto result = replay(cluster, made.schedule());
  const SimTime apart = result.trace.ops[1][0].end;
  CHECK(result.trace.ops[0][1].start == 2 * apart);
  CHECK(tests::seconds(result.trace.ops[0][0].end) == doctest::Approx(1.5 * tests::seconds(apart)).epsilon(1e-9));
}

// 2 of 10 SMs are held: 8 tiles run in one wave as before, 9 and 10 in two.
TEST_CASE("a message across nodes holds two SMs") {
  hw::ClusterSpec cluster = ideal_cluster(2, 1);
  cluster.gpu.memory_bandwidth = BytesPerSecond(1e18);
  cluster.gpu.streaming_multiprocessors = 10;
  cluster.gpu.gemm.split_k = 1 << 20;
  for (const std::int64_t tiles : {8, 9, 10}) {
    HandMade made(2);
    made.own_program(1);
    made.group(Axis::pipeline, {0, 1});
    made.op_of(0, 0, hw::Gemm<ir::Extent>{ir::rows(128 * tiles), 128, 4096, hw::Precision::bf16});
    made.op_of(0, 1, ir::Send{Axis::pipeline, 1, 0, ir::rows(100'000'000), 1});
    made.op_of(1, 1, ir::Recv{Axis::pipeline, 0, 0, ir::rows(100'000'000), 1});
    const SimTime apart = replay(cluster, made.schedule(), {.interference = false}).trace.ops[0][0].end;
    const SimTime beside = replay(cluster, made.schedule()).trace.ops[0][0].end;
    CHECK(tests::seconds(beside) == doctest::Approx((tiles > 8 ? 2 : 1) * tests::seconds(apart)).epsilon(1e-9));
  }
}

TEST_CASE("where nothing overlaps, and at bound fidelity, interference changes nothing") {
  const hw::ClusterSpec cluster = two_gpus();
  HandMade apart(2);
  apart.group(Axis::tensor, {0, 1});
  for (int i = 0; i < 3; ++i) {
    apart.op(0, ir::compute(1'000'000));
    apart.op(0, ir::collective(CollectiveKind::all_gather, Axis::tensor, 100'000));
  }
  CHECK(tests::last_end(replay(cluster, apart.schedule()).trace) ==
        tests::last_end(replay(cluster, apart.schedule(), {.interference = false}).trace));
  HandMade beside = pass_beside_gather(10'000'000);
  CHECK(tests::last_end(replay(cluster, beside.schedule(), {.fidelity = Fidelity::bound}).trace) ==
        tests::last_end(replay(cluster, beside.schedule(), {.fidelity = Fidelity::bound, .interference = false}).trace));
}

// No op runs faster for it: alone <= end − start, which is at most twice the pass's time (half the memory is left).
TEST_CASE("in a random schedule interference lengthens computations only, by a factor of two at the most") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    tests::Random random(seed);
    const hw::ClusterSpec cluster = tests::random_cluster(random);
    tests::RandomSchedule made(random, cluster.gpus());
    const ir::Schedule& schedule = made.schedule();
    const ir::Trace apart = replay(cluster, schedule, {.interference = false}).trace, trace = replay(cluster, schedule).trace;
    for (std::size_t r = 0; r < schedule.ranks.size(); ++r) {
      const auto& ops = schedule.program_of(Rank{static_cast<std::int32_t>(r)}).ops;
      for (std::size_t i = 0; i < ops.size(); ++i) {
        if (ir::communicates(ops[i].work)) continue;
        const SimTime shortest = apart.ops[r][i].end - apart.ops[r][i].start, took = trace.ops[r][i].end - trace.ops[r][i].start;
        REQUIRE(took >= shortest);
        REQUIRE(took <= 2 * shortest + SimTime(2));
      }
    }
  }
}

}  // namespace fabricast::gpu_sharing_test
