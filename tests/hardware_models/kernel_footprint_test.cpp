// What communication kernels hold of a GPU.
#include <doctest/doctest.h>

#include <stdexcept>

#include "hardware_models/collective_model.hpp"

namespace fabricast::kernel_footprint_test {

using namespace fabricast;
using hw::CollectiveAlgorithm;
using hw::CollectiveKind;

namespace {

hw::CollectiveModel plain_model() {
  hw::CollectiveSpec spec;
  for (const CollectiveKind kind : {CollectiveKind::all_reduce, CollectiveKind::all_gather, CollectiveKind::reduce_scatter,
                                    CollectiveKind::broadcast, CollectiveKind::all_to_all, CollectiveKind::send}) {
    spec.base_latency[kind] = Seconds(0);
    spec.nvlink_efficiency[kind] = {{8, 1.0}};
    spec.network_efficiency[kind] = 1.0;
  }
  spec.channels = {20, 10, 30};
  return hw::CollectiveModel(spec);
}

}  // namespace

// A channel takes 512 threads · 64 B at least: 32 KiB each, so S = c · 32 KiB keeps c channels busy, up to those that there are.
TEST_CASE("a kernel holds an SM per channel, as many as its bytes fill") {
  const hw::CollectiveModel model = plain_model();
  const auto sms = [&](CollectiveKind kind, CollectiveAlgorithm algorithm, std::int64_t kib) {
    return model.footprint(kind, algorithm, Bytes(kib * 1024)).sms;
  };
  CHECK(sms(CollectiveKind::all_reduce, CollectiveAlgorithm::ring, 1) == 1);
  CHECK(sms(CollectiveKind::all_reduce, CollectiveAlgorithm::ring, 3 * 32) == 3);
  CHECK(sms(CollectiveKind::all_reduce, CollectiveAlgorithm::ring, 1 << 20) == 20);
  CHECK(sms(CollectiveKind::all_to_all, CollectiveAlgorithm::flat, 1 << 20) == 30);
}

// all-reduce = reduce-scatter + all-gather, each half of its bytes
TEST_CASE("an all-reduce draws the memory traffic of its two halves") {
  const hw::CollectiveModel model = plain_model();
  const auto traffic = [&](CollectiveKind kind) {
    const hw::KernelFootprint f = model.footprint(kind, CollectiveAlgorithm::ring, Bytes(1 << 30));
    return f.hbm_per_byte_sent + f.hbm_per_byte_received;
  };
  CHECK(traffic(CollectiveKind::all_reduce) == (traffic(CollectiveKind::reduce_scatter) + traffic(CollectiveKind::all_gather)) / 2);
}

TEST_CASE("an algorithm that was not chosen holds nothing that could be named") {
  CHECK_THROWS_AS((void)plain_model().footprint(CollectiveKind::all_reduce, CollectiveAlgorithm::automatic, Bytes(1)),
                  std::invalid_argument);
}

}  // namespace fabricast::kernel_footprint_test
