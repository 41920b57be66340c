// fabricast's flow network beside SimGrid: same cluster, routes, transfers and sizes; time, peak memory, and how far the ends of single
// transfers lie apart. Each simulation runs in a process of its own, one after another.
//
//   simgrid_comparison [SCENARIO...]     one, equal, uneven; all of them by default. SimGrid takes about a minute for `uneven`.
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <functional>
#include <string>
#include <string_view>

#include "strategies/ir/split_mix.hpp"
#include "tests/benchmark/simgrid/transfers.hpp"
#include "tests/hardware_models/test_cluster.hpp"

using namespace fabricast;
using namespace fabricast::benchmarks;

namespace {

constexpr std::int64_t bytes_per_pair = 156 * 8192;   // EP64_TP2: 20,000 rows of 8 KiB from each rank to 128

struct Scenario {
  std::string_view name, title;
  Outstanding outstanding;
  bool uneven;
};

constexpr Scenario scenarios[] = {
    {"one", "one transfer per GPU at a time, equal sizes", Outstanding::one, false},
    {"equal", "all transfers at once, equal sizes", Outstanding::all, false},
    {"uneven", "all transfers at once, sizes times U(0.5, 1.5)", Outstanding::all, true},
};

/// Every GPU to every other one, its successor first.
Workload all_to_all(std::int64_t gpus, const Scenario& scenario) {
  Workload result{{}, scenario.outstanding};
  ir::SplitMix64 random(1);
  for (std::int64_t from = 0; from < gpus; ++from) {
    for (std::int64_t step = 1; step < gpus; ++step) {
      const std::int64_t bytes = scenario.uneven ? bytes_per_pair / 2 + random.below(bytes_per_pair) : bytes_per_pair;
      result.transfers.push_back(
          {GpuId{static_cast<std::int32_t>(from)}, GpuId{static_cast<std::int32_t>((from + step) % gpus)}, Bytes(bytes)});
    }
  }
  return result;
}

struct Outcome {
  Ends ends;
  double seconds = 0;
  double peak_megabytes = 0;
};

bool transfer_all(int file, char* data, std::size_t bytes, const std::function<ssize_t(int, char*, std::size_t)>& move) {
  for (std::size_t done = 0; done < bytes;) {
    const ssize_t moved = move(file, data + done, bytes - done);
    if (moved <= 0) return false;
    done += static_cast<std::size_t>(moved);
  }
  return true;
}

/// In a child process, so that its peak memory is its own. The time is that of simulate(), without start and end of the process.
Outcome measure(std::size_t transfers, const std::function<Ends()>& simulate) {
  int channel[2];
  if (pipe(channel) != 0) std::exit(1);
  const pid_t child = fork();
  if (child == 0) {
    const auto begin = std::chrono::steady_clock::now();
    Ends result = simulate();
    result.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
    const bool sent = transfer_all(channel[1], reinterpret_cast<char*>(result.data()), result.size() * sizeof(double), write);
    _exit(sent ? 0 : 1);
  }
  close(channel[1]);
  Outcome outcome;
  outcome.ends.resize(transfers + 1);
  const bool received = transfer_all(channel[0], reinterpret_cast<char*>(outcome.ends.data()), outcome.ends.size() * sizeof(double), read);
  close(channel[0]);
  int status = 0;
  rusage used{};
  wait4(child, &status, 0, &used);
  if (!received || status != 0) {
    fmt::print(stderr, "a simulation failed\n");
    std::exit(1);
  }
  outcome.seconds = outcome.ends.back();
  outcome.ends.pop_back();
  outcome.peak_megabytes = static_cast<double>(used.ru_maxrss) / 1024;
  return outcome;
}

/// The largest relative difference of any transfer's end.
double largest_difference(const Ends& a, const Ends& b) {
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] / b[i] - 1));
  return largest;
}

void print(const char* name, const Outcome& outcome, const Outcome& rival) {
  const double end = *std::max_element(outcome.ends.begin(), outcome.ends.end());
  const double rival_end = *std::max_element(rival.ends.begin(), rival.ends.end());
  fmt::print("  {:<22} {:>9.1f} ms {:>9.1f} MB {:>12.6f} ms {:>11.4f} % {:>11.4f} %\n", name, 1e3 * outcome.seconds, outcome.peak_megabytes, 1e3 * end,
             100 * std::abs(end / rival_end - 1), 100 * largest_difference(outcome.ends, rival.ends));
}

void compare(const Scenario& scenario) {
  const hw::Topology topology(tests::h100_16x8());
  const Workload workload = all_to_all(topology.gpus(), scenario);
  const std::size_t transfers = workload.transfers.size();
  const Outcome exact = measure(transfers, [&] { return ends_in_fabricast(topology, workload, true); });
  const Outcome patient = measure(transfers, [&] { return ends_in_fabricast(topology, workload, false); });
  fmt::print("{}: {} ({} transfers)\n", scenario.name, scenario.title, transfers);
  fmt::print("  {:<22} {:>12} {:>12} {:>15} {:>13} {:>13}\n", "", "time", "peak", "last end", "off SimGrid", "worst transfer");
  std::fflush(stdout);
  const Outcome rival = measure(transfers, [&] { return ends_in_simgrid(topology, workload); });
  print("SimGrid", rival, rival);
  print("fabricast flow-exact", exact, rival);
  print("fabricast flow", patient, rival);
}

}  // namespace

int main(int count, char** arguments) {
  for (const Scenario& scenario : scenarios) {
    const bool wanted = count < 2 || std::any_of(arguments + 1, arguments + count, [&](const char* name) { return name == scenario.name; });
    if (wanted) compare(scenario);
  }
}
