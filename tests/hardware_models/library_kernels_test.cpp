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
  CHECK(nvlink_share(spec, Kind::all_gather, {Algorithm::ring, Protocol::ll}, {2, 2}) == doctest::Approx(0.05));
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
  const TransferMode mode{.fill = Seconds(30e-6), .fill_size = Bytes(1'000'000)};
  CHECK(fill_time(mode, Bytes(0)) == Seconds(0));
  CHECK(fill_time(mode, Bytes(1'000'000)).value() == doctest::Approx(15e-6));
  CHECK(fill_time(mode, Bytes(std::int64_t{1} << 50)).value() == doctest::Approx(30e-6));
}

// all-reduce among 8: bytes sent 7/4 S. LL costs 7/4 S / 20 GB/s, LL128 2 us + 7/4 S / 100 GB/s: equal at S = 28.6 kB.
TEST_CASE("the protocol goes from LL over LL128 to Simple as the size grows") {
  const CollectiveModel model([] {
    CollectiveSpec spec = round_numbers();
    spec.in_switch_reduction = false;
    return spec;
  }());
  const auto node = placed(1, 8);
  const auto protocol = [&](std::int64_t bytes) { return model.choose(Kind::all_reduce, Algorithm::automatic, node, Bytes(bytes)).protocol; };
  CHECK(protocol(1) == Protocol::ll);
  CHECK(protocol(28'000) == Protocol::ll);
  CHECK(protocol(29'000) == Protocol::ll128);
  CHECK(protocol(1 << 30) == Protocol::simple);
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
  CHECK(model.choose(Kind::all_reduce, Algorithm::tree, placed(2, 4), kib) == CollectiveChoice{Algorithm::tree, Protocol::ll, {}});
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
