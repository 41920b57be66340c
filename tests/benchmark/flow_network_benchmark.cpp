#include <benchmark/benchmark.h>

#include <cstdint>
#include <vector>

#include "sim/engine.hpp"
#include "sim/flow_network.hpp"

namespace {

using fabricast::Bytes;
using fabricast::BytesPerSecond;
using fabricast::LinkId;
using fabricast::sim::Engine;
using fabricast::sim::Event;
using fabricast::sim::FlowNetwork;
using fabricast::sim::PathId;

constexpr std::int32_t hosts = 128;
constexpr std::int64_t row_bytes = 8192;

/// One link up and one down per host; a path for every pair.
struct Hosts {
  Engine engine;
  FlowNetwork network{engine, 0, std::vector<BytesPerSecond>(2 * hosts, BytesPerSecond(50e9))};
  std::vector<PathId> paths;

  Hosts() {
    for (std::int32_t source = 0; source < hosts; ++source) {
      for (std::int32_t destination = 0; destination < hosts; ++destination) {
        paths.push_back(network.add_path(std::vector<LinkId>{LinkId{source}, LinkId{hosts + destination}}));
      }
    }
  }

  template <class Rows>
  void all_to_all(Rows rows) {
    for (std::int32_t source = 0; source < hosts; ++source) {
      for (std::int32_t destination = 0; destination < hosts; ++destination) {
        if (source == destination) continue;
        const auto pair = source * hosts + destination;
        network.start(paths[pair], Bytes(rows(source, destination) * row_bytes), static_cast<std::uint64_t>(pair));
      }
    }
    engine.run([this](const Event& event) { benchmark::DoNotOptimize(network.handle(event).size()); });
  }
};

template <class Rows>
void run_all_to_all(benchmark::State& state, Rows rows) {
  Hosts cluster;
  for (auto _ : state) cluster.all_to_all(rows);
  state.SetItemsProcessed(state.iterations() * hosts * (hosts - 1));  // flows, each started and finished
}

/// Sizes that differ by one row, as uniform routing deals them.
void uniform_all_to_all(benchmark::State& state) {
  run_all_to_all(state, [](std::int32_t source, std::int32_t destination) { return 312 + (source + destination) % 2; });
}
BENCHMARK(uniform_all_to_all)->Unit(benchmark::kMillisecond);

/// Destinations of popularity 1/rank, a few rows more or less per source.
void skewed_all_to_all(benchmark::State& state) {
  run_all_to_all(state, [](std::int32_t source, std::int32_t destination) {
    return 8000 / (1 + destination) + (source * 7 + destination) % 5;
  });
}
BENCHMARK(skewed_all_to_all)->Unit(benchmark::kMillisecond);

}  // namespace
