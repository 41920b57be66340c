#include "runtime/host_bench.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <chrono>
#include <cstring>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "runtime/exchange_data.hpp"
#include "runtime/host_compute.hpp"
#include "runtime/kernel_op.hpp"
#include "runtime/machine.hpp"
#include "runtime/measure.hpp"
#include "runtime/thread_transport.hpp"
#include "strategies/ir/work_json.hpp"

namespace fabricast::runtime {
namespace {

constexpr Seconds shortest_sample{2e-3};   // above a thread's time slice over eight ranks, and far above the clock's steps
constexpr std::int64_t most_in_a_row = 10'000;

Seconds between(Clock::time_point from, Clock::time_point to) { return Seconds(std::chrono::duration<double>(to - from).count()); }

void require_memory(Bytes bytes) {
  const Bytes memory = this_host().memory;
  if (bytes <= memory) return;
  throw BackendUnavailable(fmt::format("a micro-benchmark needs {:.1f} GB and this machine has {:.1f} GB; use fewer ranks or smaller widths",
                                       static_cast<double>(bytes.value()) * 1e-9, static_cast<double>(memory.value()) * 1e-9));
}

hw::Precision precision_of(const hw::Kernel& kernel) {
  return std::visit([](const auto& k) { return k.precision; }, kernel);
}

void require_precision(hw::Precision precision) {
  if (precision == hw::Precision::fp32 || precision == hw::Precision::bf16) return;
  throw BackendUnavailable(fmt::format("the host backend computes in fp32 and bf16, not in {}", hw::name_of(precision)));
}

/// So many that all ranks together take a sample's time at least.
std::int64_t times_in_a_row(Seconds once) {
  const double wanted = shortest_sample / std::max(once, Seconds(1e-8));
  return std::clamp<std::int64_t>(static_cast<std::int64_t>(wanted) + 1, 1, most_in_a_row);
}

/// Each thread's own beginning and end of one sample.
struct Stint {
  Clock::time_point begin, end;
};

Seconds span_of(const std::vector<Stint>& stints) {
  const auto begin = std::min_element(stints.begin(), stints.end(), [](const Stint& a, const Stint& b) { return a.begin < b.begin; });
  const auto end = std::max_element(stints.begin(), stints.end(), [](const Stint& a, const Stint& b) { return a.end < b.end; });
  return between(begin->begin, end->end);
}

/// Samples of `works`, one in each of as many threads, all at once.
Spread sample(const std::vector<std::function<void()>>& works, std::int32_t repetitions) {
  works.front()();                                     // touches memory
  const auto begin = Clock::now();
  works.front()();
  const std::int64_t times = times_in_a_row(between(begin, Clock::now()));
  std::vector<Stint> stints(works.size());
  std::vector<Seconds> samples;
  std::barrier gate(static_cast<std::ptrdiff_t>(works.size()) + 1);
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < works.size(); ++i) {
      threads.emplace_back([&, i] {
        for (std::int32_t repetition = -1; repetition < repetitions; ++repetition) {
          gate.arrive_and_wait();
          stints[i].begin = Clock::now();
          for (std::int64_t t = 0; t < times; ++t) works[i]();
          stints[i].end = Clock::now();
          gate.arrive_and_wait();
        }
      });
    }
    for (std::int32_t repetition = -1; repetition < repetitions; ++repetition) {   // the first is a warm-up
      gate.arrive_and_wait();
      gate.arrive_and_wait();
      if (repetition >= 0) samples.push_back(span_of(stints) / static_cast<double>(times));
    }
  }
  return spread_of(std::move(samples));
}

/// One member of a group, with buffers of its own.
class Member {
 public:
  Member(Transport& transport, const ExchangeShape& shape, std::size_t member)
      : transport_(transport), in_(expected_input(shape, member)), out_(expected_output(shape, member)) {
    std::memset(in_.memory().data(), 1, in_.memory().size());   // tiny numbers, but numbers
    part_ = {ir::InstanceId{0}, member, in_.memory(), out_.memory()};
  }

  /// When the last one had arrived.
  Clock::time_point exchange() {
    transport_.arrive(part_, bell_);
    while (true) {
      const std::uint32_t seen = bell_.rings();
      if (const auto started = transport_.advance(part_)) return *started;
      bell_.wait(seen);
    }
  }

 private:
  Transport& transport_;
  Arena in_, out_;
  Exchange part_{};
  Doorbell bell_;
};

struct EndOnExit {
  std::atomic<bool>& ends;
  ~EndOnExit() { ends = true; }
};

/// Groups of members, ready to meet.
struct Groups {
  std::vector<std::unique_ptr<ThreadTransport>> transports;
  std::vector<std::unique_ptr<Member>> members;        // group by group
};

Groups groups_of(const CollectiveBench& bench) {
  Groups groups;
  const ExchangeShape shape = shape_of(bench);
  for (std::int32_t g = 0; g < bench.groups; ++g) {
    groups.transports.push_back(std::make_unique<ThreadTransport>(std::vector<ExchangeShape>{shape}));
    for (std::size_t m = 0; m < shape.members; ++m) groups.members.push_back(std::make_unique<Member>(*groups.transports.back(), shape, m));
  }
  return groups;
}

}  // namespace

Spread HostBench::kernel(const hw::Kernel& kernel) const {
  require_precision(precision_of(kernel));
  require_memory(KernelOp::memory_of(kernel) * ranks_);
  HostCompute compute;
  std::vector<std::unique_ptr<KernelOp>> ops;
  std::vector<std::function<void()>> works;
  for (std::int32_t r = 0; r < ranks_; ++r) {
    ops.push_back(std::make_unique<KernelOp>(kernel, static_cast<std::uint64_t>(r) + 1));
    works.emplace_back([&compute, op = ops.back().get()] { compute.run(op->op()); });
  }
  return sample(works, repetitions_);
}

Spread HostBench::copy(Bytes bytes) const {
  require_memory(2 * bytes * ranks_);
  std::vector<Arena> arenas;
  for (std::int32_t r = 0; r < 2 * ranks_; ++r) arenas.emplace_back(bytes);
  std::vector<std::function<void()>> works;
  for (std::size_t r = 0; r < arenas.size(); r += 2) {
    works.emplace_back([from = arenas[r].memory(), to = arenas[r + 1].memory()] { std::memcpy(to.data(), from.data(), from.size()); });
  }
  return sample(works, repetitions_);
}

Spread HostBench::launch() const { return kernel(hw::ResidualAdd<std::int64_t>{0, 16, hw::Precision::fp32}); }

Spread HostBench::collective(const CollectiveBench& bench) const {
  require_precision(bench.precision);
  require_memory(2 * bench.size * std::int64_t{bench.members} * std::int64_t{bench.groups});
  const Groups groups = groups_of(bench);
  const std::size_t threads_needed = groups.members.size();
  std::vector<Stint> stints(threads_needed);
  std::vector<Seconds> samples;
  std::barrier gate(static_cast<std::ptrdiff_t>(threads_needed) + 1);
  std::vector<std::jthread> threads;
  for (std::size_t i = 0; i < threads_needed; ++i) {
    threads.emplace_back([&, i] {
      for (std::int32_t repetition = -1; repetition < repetitions_; ++repetition) {
        gate.arrive_and_wait();
        stints[i].begin = groups.members[i]->exchange();
        stints[i].end = Clock::now();
        gate.arrive_and_wait();
      }
    });
  }
  for (std::int32_t repetition = -1; repetition < repetitions_; ++repetition) {
    gate.arrive_and_wait();
    gate.arrive_and_wait();
    if (repetition < 0) continue;
    const auto n = static_cast<std::size_t>(bench.members);
    for (std::size_t g = 0; g < threads_needed; g += n) {
      samples.push_back(span_of({stints.begin() + static_cast<std::ptrdiff_t>(g), stints.begin() + static_cast<std::ptrdiff_t>(g + n)}));
    }
  }
  threads.clear();
  return spread_of(std::move(samples));
}

BenchResults::Interference HostBench::beside(const hw::Kernel& compute, Bytes all_gather) const {
  BenchResults::Interference result{compute, kernel(compute).median, {}, {}, 0, {}};
  const Groups groups = groups_of({hw::CollectiveKind::all_gather, all_gather, ranks_, 1, hw::Precision::fp32});
  std::atomic<bool> ends{false};
  bool last = false;                                   // written between rounds only
  std::int64_t rounds = 0;
  std::barrier gate(std::ptrdiff_t{ranks_}, [&]() noexcept {
    last = ends;
    ++rounds;
  });
  const auto begin = Clock::now();
  {
    std::vector<std::jthread> threads;
    for (const auto& member : groups.members) {
      threads.emplace_back([&, m = member.get()] {
        while (!last) {
          (void)m->exchange();
          gate.arrive_and_wait();
        }
      });
    }
    const EndOnExit end{ends};                         // before the threads are joined, also where the kernel throws
    result.beside = kernel(compute).median;
  }
  // all-gather: a member receives (n-1)/n of S
  const double received = static_cast<double>(rounds) * static_cast<double>(all_gather.value()) * (ranks_ - 1) / ranks_;
  result.communication = BytesPerSecond(received / between(begin, Clock::now()).value());
  return result;
}

BenchResults run_on_host(const BenchPlan& plan, std::int32_t repetitions, const std::function<void(const std::string&)>& say) {
  const HostBench bench(plan.ranks, repetitions);
  BenchResults results;
  results.machine = this_host();
  results.ranks = plan.ranks;
  results.repetitions = repetitions;
  say("launch");
  results.launch = bench.launch();
  for (const hw::Kernel& kernel : plan.kernels) {
    say(ir::kernel_json(kernel));
    results.kernels.push_back({kernel, bench.kernel(kernel), {}});
  }
  for (const Bytes bytes : plan.copies) {
    say(fmt::format("copy of {} bytes", bytes.value()));
    results.copies.push_back({bytes, bench.copy(bytes)});
  }
  for (const CollectiveBench& collective : plan.collectives) {
    say(fmt::format("{} of {} bytes among {}", hw::name_of(collective.kind), collective.size.value(), collective.members));
    results.collectives.push_back({collective, bench.collective(collective)});
  }
  for (const hw::Kernel& kernel : plan.beside) {
    say("beside communication: " + ir::kernel_json(kernel));
    results.interference.push_back(bench.beside(kernel, plan.beside_size));
  }
  return results;
}

}  // namespace fabricast::runtime
