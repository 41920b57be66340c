// The equations of NCCL's kernels and the choice that its tuner makes by them.
#include "hardware_models/library_kernels.hpp"

#include <doctest/doctest.h>

#include <stdexcept>
#include <vector>

namespace fabricast::library_kernels_test {

using namespace fabricast;
using namespace fabricast::hw;

namespace {

using Kind = CollectiveKind;
using Algorithm = CollectiveAlgorithm;
using Protocol = CollectiveProtocol;

constexpr Bytes kib(1024), mib(1 << 20), gib(std::int64_t{1} << 30);

/// LL starts at once and runs at a twentieth of the link, LL128 at a quarter after 2 us, Simple at 0.8 of it after 10 us.
CollectiveSpec round_numbers() {
  CollectiveSpec spec;
  LibraryKernels kernels;
  kernels.nvlink = BytesPerSecond(400e9);
  kernels.network = BytesPerSecond(50e9);
  kernels.call = Seconds(5e-6);
  kernels.ll = {Seconds(0), Seconds(0.5e-6), Seconds(3e-6), 0.05, 0.25, Seconds(0), Bytes(1)};
  kernels.ll128 = {Seconds(2e-6), Seconds(0.5e-6), Seconds(4e-6), 0.25, 0.9, Seconds(0), Bytes(1)};
  kernels.simple = {Seconds(10e-6), Seconds(0.5e-6), Seconds(6e-6), 0.8, 0.9, Seconds(30e-6), Bytes(10'000'000)};
  kernels.point_to_point = {Seconds(1e-6), Seconds(0), Seconds(3e-6), 0.7, 0.9, Seconds(0), Bytes(1)};
  kernels.nvls = {Seconds(15e-6), Seconds(0), Seconds(6e-6), 0.7, 0.9, Seconds(30e-6), Bytes(10'000'000)};
  kernels.nvls_tree = kernels.nvls;
  spec.kernels = kernels;
  spec.in_switch_reduction = true;
  spec.pipeline_chunk = Bytes(16'000'000);
  return spec;
}

std::vector<NodeId> placed(std::int32_t nodes, std::int32_t per_node) {
  std::vector<NodeId> result;
  for (std::int32_t node = 0; node < nodes; ++node) result.insert(result.end(), static_cast<std::size_t>(per_node), NodeId{node});
  return result;
}

}  // namespace

// n = 2, f = 1/2: all-gather reads S and writes 3/2 S for S/2 sent; all-reduce reads and writes 2 S each for S sent; all-to-all 3 S for S/2.
// n large, f = 1: 3 bytes, 3 and 4.
TEST_CASE("what SMs load and store per byte sent follows from what the primitives read and write") {
  CHECK(loads_and_stores(Kind::all_gather, 2) == doctest::Approx(5));
  CHECK(loads_and_stores(Kind::reduce_scatter, 2) == doctest::Approx(5));
  CHECK(loads_and_stores(Kind::all_reduce, 2) == doctest::Approx(4));
  CHECK(loads_and_stores(Kind::all_to_all, 2) == doctest::Approx(6));
  for (const auto& [kind, most] : {std::pair{Kind::all_gather, 3.0}, std::pair{Kind::all_reduce, 3.0}, std::pair{Kind::all_to_all, 4.0}}) {
    CHECK(loads_and_stores(kind, 1'000'000) == doctest::Approx(most).epsilon(1e-4));
  }
}

// 24 channels · 50 GB/s / 5 = 240 GB/s of 400: 0.6; among 8, 24 · 50 / 3.29 = 365 GB/s, more than the protocol's 0.8 · 400 = 320.
TEST_CASE("two members are held back by their SMs, eight by the link") {
  CollectiveSpec spec = round_numbers();
  spec.kernels->channel_rate = BytesPerSecond(50e9);
  const CollectiveChoice ring{Algorithm::ring, Protocol::simple};
  CHECK(nvlink_share(spec, Kind::all_gather, ring, {2, 2}) == doctest::Approx(0.6));
  CHECK(nvlink_share(spec, Kind::all_gather, ring, {8, 8}) == doctest::Approx(0.8));
}

// n - 1 of n chunks are sent on in an all-gather, 2 (n - 1) of 2n - 1 handled in an all-reduce.
TEST_CASE("under LL and LL128 a ring's member also takes out the last chunk, which it does not send on") {
  const CollectiveSpec spec = round_numbers();
  const CollectiveChoice ll{Algorithm::ring, Protocol::ll}, ll128{Algorithm::ring, Protocol::ll128};
  CHECK(nvlink_share(spec, Kind::all_gather, ll, {2, 2}) == doctest::Approx(0.05 / 2));
  CHECK(nvlink_share(spec, Kind::all_gather, ll, {8, 8}) == doctest::Approx(0.05 * 7 / 8));
  CHECK(nvlink_share(spec, Kind::all_reduce, ll, {2, 2}) == doctest::Approx(0.05 * 2 / 3));
  CHECK(nvlink_share(spec, Kind::all_reduce, ll128, {8, 8}) == doctest::Approx(0.25 * 14 / 15));
}

// LL 7 us + 14 · 0.5 + 7/4 S / 80 GB/s, NVLS 25 us + 7/4 S / 400 GB/s: equal at S = 11 us · 400/7 GB/s = 628.6 kB. By what the kernels reach LL,
// a twentieth of the link, would end at 30 kB.
TEST_CASE("in a node the tuner decides by its own constants, not by what the kernels reach") {
  CollectiveSpec spec = round_numbers();
  const auto choose = [&](std::int64_t bytes, std::int32_t nodes) {
    return CollectiveModel(spec).choose(Kind::all_reduce, Algorithm::automatic, placed(nodes, 8), Bytes(bytes));
  };
  CHECK(choose(600'000, 1).protocol != Protocol::ll);
  const auto across = choose(600'000, 2);
  const auto at = [](double us) { return Seconds(us * 1e-6); };
  spec.kernels->tuner = Tuner{{at(7), at(0.5), BytesPerSecond(80e9)}, {at(40), at(2), BytesPerSecond(90e9)}, {at(60), at(3), BytesPerSecond(300e9)},
                              TunerEstimate{at(25), at(0), BytesPerSecond(400e9)}};
  CHECK(choose(628'000, 1) == CollectiveChoice{Algorithm::ring, Protocol::ll, {}, {}});
  CHECK(choose(629'000, 1).algorithm == Algorithm::nvls);
  CHECK(choose(600'000, 2) == across);
  spec.kernels->tuner->nvls.reset();
  CHECK(choose(1 << 30, 1).algorithm == Algorithm::ring);
}

// 16 channels, 8 GPUs: 128 chunks in a loop. In a node 16 KiB below 8 MiB (2 loops of 32 KiB), 32 below 64 MiB, 64 below 1 GiB; across two nodes
// 32 KiB below 8 MiB, 64 below 64 MiB, 128 below 512 MiB, 256 below 2 GiB; among four no more than 64.
TEST_CASE("the chunk of a loop grows with the size as NCCL's does") {
  CollectiveSpec spec = round_numbers();
  spec.kernels->switch_loops = SwitchLoops{kib * 128, kib * 512, Seconds(0), 2, 1};
  const auto chunk = [&](Algorithm algorithm, std::int32_t nodes, Bytes size) {
    return CollectiveModel(spec).choose(Kind::all_reduce, algorithm, placed(nodes, 8), size).chunk;
  };
  struct Limit { Algorithm algorithm; std::int32_t nodes; Bytes from; std::int64_t below_kib, from_kib; };
  for (const Limit& limit : {Limit{Algorithm::nvls, 1, mib * 8, 16, 32}, {Algorithm::nvls, 1, mib * 64, 32, 64}, {Algorithm::nvls, 1, gib, 64, 128},
                             {Algorithm::nvls_tree, 2, mib * 8, 32, 64}, {Algorithm::nvls_tree, 2, mib * 64, 64, 128},
                             {Algorithm::nvls_tree, 2, mib * 512, 128, 256}, {Algorithm::nvls_tree, 2, gib * 2, 256, 512},
                             {Algorithm::nvls_tree, 4, mib * 8, 32, 64}}) {
    CAPTURE(limit.from.value());
    CHECK(chunk(limit.algorithm, limit.nodes, limit.from - Bytes(1)) == kib * limit.below_kib);
    CHECK(chunk(limit.algorithm, limit.nodes, limit.from) == kib * limit.from_kib);
  }
  CHECK(chunk(Algorithm::nvls_tree, 4, gib * 16) == kib * 64);
  CHECK(chunk(Algorithm::ring, 1, gib) == Bytes(0));
}

// A loop of 128 KiB chunks: 16 MiB of S, 18 MiB over the link, 18.9 MB / (0.7 · 400 GB/s) = 67.41 us, 4 us more for the loop itself.
TEST_CASE("a loop costs its bytes and its own time, two are held back, and the levels pass one at once") {
  CollectiveSpec spec = round_numbers();
  spec.kernels->switch_loops = SwitchLoops{kib * 128, kib * 128, Seconds(4e-6), 2, 1};
  const CollectiveChoice nvls{Algorithm::nvls, Protocol::simple, {}, kib * 128}, tree{Algorithm::nvls_tree, Protocol::simple, {}, kib * 128};
  const double loop = 18 * 1048576.0, seconds = loop / 280e9 + 4e-6;
  CHECK(nvlink_share(spec, Kind::all_reduce, nvls, {8, 8}) == doctest::Approx(loop / seconds / 400e9));
  CHECK(fill_time(spec, Kind::all_reduce, nvls, {8, 8}, gib).value() == doctest::Approx(2 * seconds));
  CHECK(fill_time(spec, Kind::all_reduce, nvls, {8, 8}, mib).value() == doctest::Approx(2 * seconds / 18));
  CHECK(fill_time(spec, Kind::all_reduce, tree, {16, 8}, gib).value() == doctest::Approx(loop / 280e9));
  CHECK(pipeline_chunk(spec, tree, {16, 8}) == mib * 16);
  CHECK(pipeline_chunk(spec, {Algorithm::two_level}, {16, 8}) == spec.pipeline_chunk);
}

// 128 KiB in 10 us: 13.1 GB/s of 50.
TEST_CASE("a NIC that takes its time for each message carries no more than a chunk in it") {
  CollectiveSpec spec = round_numbers();
  const CollectiveChoice tree{Algorithm::nvls_tree, Protocol::simple, {}, kib * 128};
  CHECK(network_share(spec, Kind::all_reduce, tree) == 0.9);
  spec.kernels->message = Seconds(10e-6);
  CHECK(network_share(spec, Kind::all_reduce, tree) == doctest::Approx(0.262144));
  CHECK(network_share(spec, Kind::all_reduce, {Algorithm::nvls_tree, Protocol::simple, {}, mib}) == 0.9);
  const auto chosen = CollectiveModel(round_numbers()).choose(Kind::all_reduce, Algorithm::automatic, placed(2, 8), gib);
  const auto chosen_still = CollectiveModel(spec).choose(Kind::all_reduce, Algorithm::automatic, placed(2, 8), gib);   // the tuner does not know
  CHECK(chosen_still.algorithm == chosen.algorithm);
  CHECK(chosen_still.protocol == chosen.protocol);
}

// Trees of 16 x 8 GPUs: 7 + 4 levels, 24 channels: at 64 MiB chunks of 512 KiB fill 5 of 88, of 128 KiB 21 of the 44 wanted next, so 64 KiB;
// rings of 16: 16 · 24 · 2 slices.
TEST_CASE("where messages cost, each algorithm has NCCL's") {
  CollectiveSpec spec = round_numbers();
  const auto chunk = [&](Kind kind, Algorithm algorithm, std::int32_t nodes, Bytes size) {
    return CollectiveModel(spec).choose(kind, algorithm, placed(nodes, 8), size).chunk;
  };
  CHECK(chunk(Kind::all_reduce, Algorithm::tree, 16, mib * 64) == Bytes(0));
  spec.kernels->message = Seconds(10e-6);
  CHECK(chunk(Kind::all_reduce, Algorithm::tree, 16, mib * 64) == kib * 64);
  CHECK(chunk(Kind::all_reduce, Algorithm::tree, 16, gib * 16) == kib * 512);
  CHECK(chunk(Kind::all_reduce, Algorithm::tree, 16, kib) == kib * 32);
  CHECK(chunk(Kind::all_reduce, Algorithm::rail_ring, 2, mib * 768) == mib);
  CHECK(chunk(Kind::all_gather, Algorithm::automatic, 2, mib * 768) == mib);
  CHECK(chunk(Kind::all_gather, Algorithm::automatic, 2, mib * 24) == kib * 32);
  CHECK(chunk(Kind::all_to_all, Algorithm::automatic, 2, gib) == kib * 128);
  CHECK(chunk(Kind::all_to_all, Algorithm::automatic, 2, mib) == kib * 64);
  CHECK(chunk(Kind::all_reduce, Algorithm::ring, 1, gib) == Bytes(0));
  CHECK(pipeline_chunk(spec, {Algorithm::two_level, Protocol::simple, {}, kib}, {16, 8}) == spec.pipeline_chunk);
}

TEST_CASE("an all-to-all of up to 16 KiB for each peer takes LL, a channel for each, in one node and where it is profiled") {
  CollectiveSpec spec = round_numbers();
  const auto protocol = [&](Kind kind, std::int32_t nodes, Bytes size) {
    return CollectiveModel(spec).choose(kind, Algorithm::automatic, placed(nodes, 8 / nodes), size).protocol;
  };
  CHECK(protocol(Kind::all_to_all, 1, kib) == Protocol::simple);
  spec.kernels->point_to_point_ll = spec.kernels->point_to_point;
  spec.kernels->point_to_point_ll->nvlink_share = 0.02;
  CHECK(protocol(Kind::all_to_all, 1, kib * 128) == Protocol::ll);
  CHECK(protocol(Kind::all_to_all, 1, kib * 136) == Protocol::simple);
  CHECK(protocol(Kind::all_to_all, 2, kib) == Protocol::simple);
  const CollectiveChoice ll{Algorithm::flat, Protocol::ll};
  CHECK(nvlink_share(spec, Kind::all_to_all, ll, {2, 2}) == doctest::Approx(0.02));
  CHECK(nvlink_share(spec, Kind::all_to_all, ll, {8, 8}) == doctest::Approx(0.14));
  CHECK(nvlink_share(spec, Kind::all_to_all, ll, {64, 64}) == doctest::Approx(0.7));
}

TEST_CASE("a token kernel's piece is so many tokens of a rank, on several nodes it stands for the fill") {
  CollectiveSpec spec = round_numbers();
  spec.kernels->tokens.emplace();
  TokenKernel& kernel = spec.kernels->tokens->dispatch;
  kernel.mode.fill = Seconds(10e-6);
  kernel.mode.fill_size = Bytes(1 << 20);
  const CollectiveChoice dispatch{Algorithm::deduplicated, Protocol::simple, {Bytes(7168), 8, 256, false}};
  CHECK(pipeline_chunk(spec, dispatch, {16, 8}) == spec.pipeline_chunk);
  kernel.piece = 100;
  CHECK(pipeline_chunk(spec, dispatch, {16, 8}) == Bytes(100 * 8 * 7168));
  CHECK(fill_time(spec, Kind::all_to_all, dispatch, {8, 8}, mib).value() == doctest::Approx(5e-6));
  CHECK(fill_time(spec, Kind::all_to_all, dispatch, {16, 8}, mib) == Seconds(0));
}

// 10 SMs copy a row of 7,168 B in 0.1 us + 7,168 B / 25 GB/s = 0.38672 us each: 185.4 GB/s, of which 7/8 leave the GPU and 400 GB/s could.
TEST_CASE("a token kernel sends what its SMs copy, forwarding times less on several nodes, and no more than the link's share") {
  CollectiveSpec spec = round_numbers();
  spec.kernels->tokens.emplace();
  TokenKernel& kernel = spec.kernels->tokens->dispatch;
  kernel.row = Seconds(0.1e-6);
  kernel.nvlink_per_sm = BytesPerSecond(25e9);
  kernel.forwarding = 2.0;
  kernel.mode.nvlink_share = 0.65;
  spec.kernels->tokens->sms = 10;
  const CollectiveChoice dispatch{Algorithm::deduplicated, Protocol::simple, {Bytes(7168), 8, 256, false}};
  const double copied = 10 * 7168 / 0.38672e-6 * 7 / 8 / 400e9;
  CHECK(nvlink_share(spec, Kind::all_to_all, dispatch, {8, 8}) == doctest::Approx(copied));
  CHECK(nvlink_share(spec, Kind::all_to_all, dispatch, {16, 8}) == doctest::Approx(copied / 2));
  spec.kernels->tokens->sms = 100;
  CHECK(nvlink_share(spec, Kind::all_to_all, dispatch, {8, 8}) == doctest::Approx(0.65));
}

// fill · b / (b + b0): half of it at b0, all of it at last, nothing for nothing
TEST_CASE("filling the pipeline costs small transfers little and large ones a constant") {
  CollectiveSpec spec = round_numbers();
  const auto fill = [&](std::int64_t sent) { return fill_time(spec, Kind::all_reduce, {Algorithm::ring}, {8, 8}, Bytes(sent)).value(); };
  CHECK(fill(0) == 0);
  CHECK(fill(10'000'000) == doctest::Approx(15e-6));
  CHECK(fill(std::int64_t{1} << 50) == doctest::Approx(30e-6));
}

// all-reduce among 8: 15/8 S handled. LL costs 15/8 S / 20 GB/s, LL128 2 us + 15/8 S / 100 GB/s: equal at S = 26.7 kB.
TEST_CASE("the protocol goes from LL over LL128 to Simple as the size grows") {
  const CollectiveModel model([] {
    CollectiveSpec spec = round_numbers();
    spec.in_switch_reduction = false;
    return spec;
  }());
  const auto node = placed(1, 8);
  const auto protocol = [&](std::int64_t bytes) { return model.choose(Kind::all_reduce, Algorithm::automatic, node, Bytes(bytes)).protocol; };
  CHECK(protocol(1) == Protocol::ll);
  CHECK(protocol(26'000) == Protocol::ll);
  CHECK(protocol(27'000) == Protocol::ll128);
  CHECK(protocol(1 << 30) == Protocol::simple);
}

// a broadcast passes all of S on at (n-1)/n of a protocol's rate: LL costs n/(n-1) S / 20 GB/s, LL128 2 us + n/(n-1) S / 100 GB/s: equal at
// S = 50 kB (n-1)/n.
TEST_CASE("a broadcast's protocol is chosen by all its bytes") {
  const CollectiveModel model(round_numbers());
  for (const std::int32_t members : {2, 8}) {
    const auto node = placed(1, members);
    CHECK(model.choose(Kind::broadcast, Algorithm::automatic, node, Bytes(49'000 * (members - 1) / members)).protocol == Protocol::ll);
    CHECK(model.choose(Kind::broadcast, Algorithm::automatic, node, Bytes(51'000 * (members - 1) / members)).protocol == Protocol::ll128);
  }
}

TEST_CASE("an all-reduce takes NVLS where the switches reduce, more than two members share a node and the size pays for it") {
  CollectiveSpec spec = round_numbers();
  const auto choose = [&](Bytes size, const std::vector<NodeId>& nodes) {
    return CollectiveModel(spec).choose(Kind::all_reduce, Algorithm::automatic, nodes, size).algorithm;
  };
  CHECK(choose(gib, placed(1, 8)) == Algorithm::nvls);
  CHECK(choose(kib, placed(1, 8)) == Algorithm::ring);
  CHECK(choose(gib, placed(1, 2)) == Algorithm::ring);
  CHECK(choose(gib, placed(2, 8)) == Algorithm::nvls_tree);
  spec.in_switch_reduction = false;
  CHECK(choose(gib, placed(1, 8)) == Algorithm::ring);
  // per byte of S 2 · 127/128 / 8 / 45 GB/s in a ring on each rail, 2/8 / 45 GB/s in the trees, if NVLink keeps up
  spec.kernels->simple.nvlink_share = 1.0;
  CHECK(choose(16 * gib, placed(16, 8)) == Algorithm::rail_ring);
  CHECK(choose(kib, placed(16, 8)) == Algorithm::tree);
  spec.in_network_reduction = true;
  CHECK(choose(gib, placed(16, 8)) == Algorithm::sharp);
}

TEST_CASE("with kernels other kinds keep their one algorithm, and a wish narrows the choice to its protocols") {
  const CollectiveModel model(round_numbers());
  CHECK(model.choose(Kind::all_gather, Algorithm::automatic, placed(2, 4), mib).algorithm == Algorithm::two_level);
  CHECK(model.choose(Kind::reduce_scatter, Algorithm::automatic, placed(1, 4), mib).algorithm == Algorithm::ring);
  CHECK(model.choose(Kind::all_to_all, Algorithm::automatic, placed(2, 4), mib).algorithm == Algorithm::flat);
  CHECK(model.choose(Kind::all_reduce, Algorithm::tree, placed(2, 4), kib) == CollectiveChoice{Algorithm::tree, Protocol::ll, {}, {}});
}

TEST_CASE("a wish that cannot run the kind, the placement or the switches counts as none") {
  CollectiveSpec spec = round_numbers();
  const std::vector<NodeId> odd{NodeId{0}, NodeId{0}, NodeId{1}};
  CHECK(CollectiveModel(spec).choose(Kind::all_gather, Algorithm::nvls, placed(1, 4), gib).algorithm == Algorithm::ring);
  CHECK(CollectiveModel(spec).choose(Kind::all_reduce, Algorithm::tree, odd, gib).algorithm == Algorithm::ring);
  CHECK(CollectiveModel(spec).choose(Kind::all_reduce, Algorithm::sharp, placed(2, 4), gib).algorithm != Algorithm::sharp);
  spec.in_switch_reduction = false;
  CHECK(CollectiveModel(spec).choose(Kind::all_reduce, Algorithm::nvls, placed(1, 4), gib).algorithm == Algorithm::ring);
}

TEST_CASE("latencies come from the mode, and add to the call's") {
  const CollectiveModel model(round_numbers());
  CHECK(model.base_latency(Kind::all_reduce, {Algorithm::ring, Protocol::ll128}).value() == doctest::Approx(7e-6));
  CHECK(model.base_latency(Kind::all_to_all, {Algorithm::flat}).value() == doctest::Approx(6e-6));
  CHECK(model.step_latency(Kind::all_reduce, {Algorithm::nvls_tree}, true) == Seconds(6e-6));
  CHECK(model.efficiency(Kind::all_reduce, {Algorithm::nvls_tree}, true, {16, 8}, mib) == 0.9);
}

TEST_CASE("kernels that claim more than the link, or name no link, are refused") {
  CollectiveSpec spec = round_numbers();
  spec.kernels->nvls.nvlink_share = 1.01;
  CHECK_THROWS_AS(CollectiveModel{spec}, std::invalid_argument);
  spec = round_numbers();
  spec.kernels->network = BytesPerSecond(0);
  CHECK_THROWS_AS(CollectiveModel{spec}, std::invalid_argument);
}

}  // namespace fabricast::library_kernels_test
