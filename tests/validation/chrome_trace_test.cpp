#include "validation/chrome_trace.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "strategies/ir/rank_classes.hpp"
#include "tests/hardware_models/test_cluster.hpp"
#include "tests/sim/replays.hpp"
#include "tests/validation/observed_step.hpp"

namespace fabricast::chrome_trace_test {

using namespace fabricast;
using namespace fabricast::validation;

namespace {

Forecast made_up(ir::Schedule schedule, ir::Trace trace) {
  ir::Instances instances = ir::match_instances(schedule);
  sim::SimulationResult result;
  result.trace = std::move(trace);
  sim::CostModel cost{hw::GpuCostModel(tests::test_gpu()), hw::CollectiveModel(tests::ideal_collectives())};
  return {hw::Topology(tests::h100_16x8()), std::move(cost), std::move(schedule), std::move(instances), std::move(result), Seconds(0)};
}

nlohmann::json events_of(const Forecast& forecast) {
  std::ostringstream out;
  write_chrome_trace(forecast, out);
  return nlohmann::json::parse(out.str()).at("traceEvents");
}

/// Decimals are exact to the picosecond, and a double holds them for steps of up to hours.
std::int64_t picoseconds(const nlohmann::json& microseconds) { return std::llround(microseconds.get<double>() * 1e6); }

struct Slice { std::int64_t start, end; };

}  // namespace

// On one track two slices are nested or apart; ts and dur are microseconds with all their picoseconds.
TEST_CASE("every op is a slice with its exact times, and slices of a track are apart") {
  ir::SplitMix64 random(5);
  const ir::Schedule schedule = tests::random_schedule(3, 60, random);
  const ir::Trace trace = tests::random_trace(schedule, 5'000'000, random);
  const nlohmann::json events = events_of(made_up(schedule, trace));
  std::map<std::pair<int, int>, std::vector<Slice>> tracks;
  std::vector<std::size_t> next(3, 0);
  for (const auto& event : events) {
    if (event.at("ph") != "X") continue;
    const int rank = event.at("pid"), stream = event.at("tid");
    const std::size_t op = next[static_cast<std::size_t>(rank)]++;
    const ir::OpInterval& ran = trace.ops[static_cast<std::size_t>(rank)][op];
    const std::int64_t start = picoseconds(event.at("ts")), duration = picoseconds(event.at("dur"));
    CHECK(start == ran.start.value());
    CHECK(duration == (ran.end - ran.start).value());
    CHECK(stream == schedule.programs[0].ops[op].stream.value);
    tracks[{rank, stream}].push_back({start, start + duration});
  }
  CHECK(next == std::vector<std::size_t>(3, schedule.programs[0].ops.size()));
  for (const auto& [track, slices] : tracks) {
    for (std::size_t i = 1; i < slices.size(); ++i) CHECK(slices[i].start >= slices[i - 1].end);
  }
}

TEST_CASE("every rank is a named process, every stream a named track, and arguments say what an op was") {
  ir::Schedule schedule = tests::tensor_group(9);
  tests::add_gemm(schedule, 10, 20, 30);
  tests::add_gather(schedule, 5, 64);
  ir::Trace trace;
  trace.ops.assign(9, {{SimTime(0), SimTime(0), SimTime(4)}, {SimTime(4), SimTime(2'000'004), SimTime(3'000'000)}});
  const nlohmann::json events = events_of(made_up(schedule, trace));
  std::map<int, std::string> processes;
  std::map<std::pair<int, int>, std::string> threads;
  for (const auto& event : events) {
    if (event.at("name") == "process_name") processes[event.at("pid")] = event.at("args").at("name");
    if (event.at("name") == "thread_name") threads[{event.at("pid"), event.at("tid")}] = event.at("args").at("name");
    if (event.at("name") == "mlp") {
      CHECK(event.at("args").at("kind") == "gemm");
      CHECK(event.at("args").at("flop") == 12'000);
      CHECK(event.at("args").at("bytes") == 2200);
      CHECK(event.at("args").at("scope") == "layer 0");
    }
    if (event.at("name") == "gather") {
      CHECK(event.at("args").at("bytes") == 9 * 5 * 64);
      CHECK(event.at("args").at("waiting_us") == 2.0);
    }
  }
  CHECK(processes.size() == 9);
  CHECK(processes.at(8) == "rank 8 (node 1, gpu 0)");
  CHECK(threads.size() == 9 * 3);
  CHECK(threads.at({8, 1}) == "tensor");
}

// 128 ranks in two classes; 2 million slices are 15,625 ops of each.
TEST_CASE("where all ranks would be too many slices, the first of each class stands for those like it") {
  for (const std::size_t ops : {15'625, 15'626}) {
    ir::Schedule schedule = tests::tensor_group(128);
    for (std::size_t i = 0; i < ops; ++i) tests::add_gemm(schedule, 10, 20, 30);
    ir::Trace trace;
    trace.ops.assign(2, std::vector<ir::OpInterval>(ops));
    for (std::int32_t rank = 0; rank < 128; ++rank) trace.row_of.push_back(rank < 100 ? 0 : 1);
    Forecast forecast = made_up(std::move(schedule), std::move(trace));
    const bool all = 128 * ops <= 2'000'000;
    CHECK(shown_ranks(forecast) == (all ? ir::each_rank(forecast.schedule).representatives : std::vector{Rank{0}, Rank{100}}));
    CHECK(note_on_shown_ranks(forecast).empty() == all);
    if (all) continue;
    const LinkId out = forecast.topology.route(GpuId{0}, GpuId{1}).links().front();
    forecast.result.link_rates = {{SimTime(0), out, BytesPerSecond(450e9)}};
    std::map<int, std::string> processes;
    std::size_t slices = 0;
    for (const auto& event : events_of(forecast)) {
      if (event.at("name") == "process_name") processes[event.at("pid")] = event.at("args").at("name");
      if (event.at("ph") == "X") ++slices;
    }
    CHECK(slices == 2 * ops);
    CHECK(processes == std::map<int, std::string>{{0, "rank 0 (node 0, gpu 0) and 99 like it"},
                                                  {100, "rank 100 (node 12, gpu 4) and 27 like it"},
                                                  {128, "links of node 0"},
                                                  {140, "links of node 12"}});
  }
}

TEST_CASE("link rates become counters of the node, in percent") {
  ir::Schedule schedule = tests::tensor_group(2);
  tests::add_gemm(schedule, 10, 20, 30);
  ir::Trace trace;
  trace.ops.assign(2, {{SimTime(0), SimTime(0), SimTime(8'000'000)}});
  Forecast forecast = made_up(schedule, trace);
  const LinkId out = forecast.topology.route(GpuId{0}, GpuId{1}).links().front();
  forecast.result.link_rates = {{SimTime(0), out, BytesPerSecond(450e9)}, {SimTime(4'000'000), out, BytesPerSecond(0)}};
  std::vector<std::pair<double, double>> samples;
  std::set<std::string> names;
  for (const auto& event : events_of(forecast)) {
    if (event.at("ph") != "C") continue;
    names.insert(event.at("name"));
    if (event.at("name") == "nvlink out, % used" && event.at("pid") == 2) samples.emplace_back(event.at("ts"), event.at("args").at("used"));
  }
  CHECK(names.size() == 4);
  CHECK(samples == std::vector<std::pair<double, double>>{{0, 12.5}, {4, 0}});
}

}  // namespace fabricast::chrome_trace_test
