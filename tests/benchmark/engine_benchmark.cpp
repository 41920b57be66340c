#include <benchmark/benchmark.h>

#include <cstdint>

#include "sim/engine.hpp"

namespace {

using fabricast::SimTime;
using fabricast::sim::Engine;
using fabricast::sim::Event;

/// Every event schedules its successor at a pseudo-random later time, so that the queue keeps its length.
void engine_events(benchmark::State& state) {
  Engine engine;
  std::uint64_t random = 1;
  const auto delay = [&random] {
    random = random * 6364136223846793005u + 1442695040888963407u;  // Knuth's MMIX generator
    return SimTime(static_cast<std::int64_t>(random >> 44));
  };
  for (std::uint32_t i = 0; i < state.range(0); ++i) engine.schedule(delay(), {0, i, 0});
  for (auto _ : state) {
    engine.step([&](const Event& event) { engine.schedule(engine.now() + delay(), event); });
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(engine_events)->Arg(128)->Arg(4096)->Arg(65536);

}  // namespace
