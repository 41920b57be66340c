// A sample is a number of calls in a row between two events, divided by it, as nccl-tests does: of the slowest member of a group. Nothing waits
// between samples, whose members hold each other in step.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <map>
#include <thread>
#include <utility>

#include "runtime/cuda/collective_bench.hpp"
#include "runtime/cuda/device_info.hpp"
#include "runtime/cuda/device_transport.hpp"
#include "runtime/cuda/guard.hpp"
#include "runtime/cuda/kernels.hpp"
#include "runtime/cuda/nccl_exchange.hpp"
#include "runtime/exchange_data.hpp"
#include "runtime/measure.hpp"

namespace fabricast::runtime::cuda {
namespace {

constexpr std::int32_t warm_up_calls = 5;
constexpr std::size_t samples_ahead = 4;          // of the device: so that the host never waits for a queue to empty, which a lost peer leaves full
constexpr std::chrono::seconds connect_time{60}, abort_time{1};
constexpr std::chrono::microseconds between_polls{20};

/// Calls of a sample: as many as nccl-tests has by default (20), fewer of large ones.
std::int32_t calls_of(Bytes size) {
  constexpr std::int64_t most = 20, least = 2, bytes_of_most = std::int64_t{64} << 20;
  return static_cast<std::int32_t>(std::clamp(bytes_of_most / std::max<std::int64_t>(size.value(), 1), least, most));
}

std::string name_of(const runtime::CollectiveBench& bench) {
  return fmt::format("{} of {} bytes among {}{}", hw::name_of(bench.kind), bench.size.value(), bench.members,
                     bench.stride > 1 ? fmt::format(", {} ranks apart", bench.stride) : "");
}

class CollectiveRun {
 public:
  CollectiveRun(const BenchPlan& plan, const CudaBenchOptions& options)
      : options_(options), clock_(options.device), rendezvous_(*options.rendezvous), stream_(make_stream(Priority::high)) {
    if (plan.ranks != rendezvous_.ranks()) {
      throw BackendUnavailable(fmt::format("the micro-benchmarks are of {} ranks and the job has {} processes; start one process, with a GPU, for "
                                           "each rank",
                                           plan.ranks, rendezvous_.ranks()));
    }
    learn_about_all();
  }

  void run(const runtime::CollectiveBench& planned, BenchResults& results) {
    runtime::CollectiveBench bench = planned;
    const std::string why = why_not(bench);
    if (!why.empty()) {
      results.left_out.push_back({name_of(bench), why});
      return;
    }
    bench.nodes = static_cast<std::int32_t>(nodes_of(bench, 0).size());
    try {
      results.collectives.push_back({bench, spread_of(slowest_members(bench, of_all(measure(bench))))});
    } catch (const CudaError& error) {
      throw failure(bench, error.what());
    } catch (const NcclError& error) {
      throw failure(bench, error.what());
    }
  }

  [[nodiscard]] const GpuClock& clock() const { return clock_; }

 private:
  [[nodiscard]] ExecutionError failure(const runtime::CollectiveBench& bench, const std::string& why) const {
    return ExecutionError(fmt::format("rank {}, {}: {}", rendezvous_.rank().value, name_of(bench), why));
  }

  /// Which machines the ranks are on, and the least memory that any has free: then all decide alike.
  void learn_about_all() {
    std::size_t free = 0, all = 0;
    check(cudaMemGetInfo(&free, &all));
    const std::string host = this_host().host;
    std::vector<std::byte> own(sizeof free + host.size());
    std::memcpy(own.data(), &free, sizeof free);
    std::memcpy(own.data() + sizeof free, host.data(), host.size());
    for (const Message& message : rendezvous_.all_gather(own)) {
      std::memcpy(&free, message.data(), sizeof free);
      free_ = std::min(free_, Bytes(static_cast<std::int64_t>(free)));
      hosts_.emplace_back(reinterpret_cast<const char*>(message.data()) + sizeof free, message.size() - sizeof free);
    }
  }

  /// Members of a group on each machine.
  [[nodiscard]] std::map<std::string, std::int32_t> nodes_of(const runtime::CollectiveBench& bench, std::int32_t group) const {
    std::map<std::string, std::int32_t> nodes;
    for (std::size_t r = 0; r < hosts_.size(); ++r) {
      if (bench.group_of(Rank{static_cast<std::int32_t>(r)}) == group) ++nodes[hosts_[r]];
    }
    return nodes;
  }

  [[nodiscard]] std::string why_not(const runtime::CollectiveBench& bench) const {
    if (bench.members < 2 || rendezvous_.ranks() % (bench.members * bench.stride) != 0) return "groups of this size do not cover all ranks evenly";
    const ExchangeShape shape = shape_of(bench);
    if (shape.counts.front() <= Bytes(0)) return "smaller than one element for each member";
    if (bench.precision == hw::Precision::fp8) return "NCCL sums no fp8";
    for (std::int32_t g = 0; g < rendezvous_.ranks() / bench.members; ++g) {
      const auto nodes = nodes_of(bench, g);
      const bool is_even = std::all_of(nodes.begin(), nodes.end(), [&](const auto& node) { return node.second == nodes.begin()->second; });
      if (!is_even || nodes.size() != nodes_of(bench, 0).size()) return "its groups do not lie evenly on the nodes";
    }
    const Bytes needed = 2 * bench.size;   // no input and no output is larger
    if (needed > free_) {
      return fmt::format("out of device memory: it needs {:.1f} GB, and a GPU of the job has {:.1f} GB free",
                         static_cast<double>(needed.value()) * 1e-9, static_cast<double>(free_.value()) * 1e-9);
    }
    return {};
  }

  /// Of the rank's group. The first member's id reaches all by way of all.
  [[nodiscard]] ncclComm_t communicator_of(const runtime::CollectiveBench& bench) {
    Communicator& communicator = communicators_[{bench.members, bench.stride}];
    if (communicator.get()) return communicator.get();
    const Rank self = rendezvous_.rank();
    std::vector<std::byte> own;
    if (bench.member_of(self) == 0) {
      const UniqueId id = new_unique_id();
      const auto bytes = std::as_bytes(std::span(&id, 1));
      own.assign(bytes.begin(), bytes.end());
    }
    const std::vector<Message> all = rendezvous_.all_gather(own);
    UniqueId id{};
    for (std::size_t r = 0; r < all.size(); ++r) {
      const Rank rank{static_cast<std::int32_t>(r)};
      if (bench.member_of(rank) == 0 && bench.group_of(rank) == bench.group_of(self)) std::memcpy(&id, all[r].data(), sizeof id);
    }
    const Guard guard(fmt::format("rank {}: NCCL does not connect groups of {} after {} s: has one of the ranks ended, or does a firewall stand "
                                  "between them?",
                                  self.value, bench.members, connect_time.count()),
                      connect_time, options_.give_up);
    communicator = connect(id, bench.members, bench.member_of(self), options_.communication_ctas);
    return communicator.get();
  }

  /// This rank's samples.
  [[nodiscard]] std::vector<Seconds> measure(const runtime::CollectiveBench& bench) {
    const ncclComm_t communicator = communicator_of(bench);
    const ExchangeShape shape = shape_of(bench);
    const std::int32_t member = bench.member_of(rendezvous_.rank());
    const NcclPart part = nccl_part(shape, member);
    const auto index = static_cast<std::size_t>(member);
    const runtime::Exchange data = allocate(shape, index, part.scratch);
    const auto call = [&](std::int32_t times) {
      for (std::int32_t i = 0; i < times; ++i) enqueue_exchange(shape, part, data, scratch_.data(), communicator, stream_.get());
    };
    const std::int32_t calls = calls_of(bench.size);
    std::vector<Event> marks;
    std::size_t awaited = 0;
    const auto mark = [&] {
      marks.push_back(make_event());
      check(cudaEventRecord(marks.back().get(), stream_.get()));
    };
    const auto await_all_but = [&](std::size_t ahead) {
      while (awaited + ahead < marks.size()) await(marks[awaited++].get(), bench, communicator);
    };
    {
      const Guard guard(failure(bench, "NCCL does not connect its members").what(), connect_time, options_.give_up);
      call(1);   // connects
    }
    mark();
    await_all_but(0);
    call(warm_up_calls - 1);
    mark();
    for (std::int32_t i = 0; i < options_.repetitions; ++i) {
      call(calls);
      mark();
      await_all_but(samples_ahead);
    }
    clock_.sample();
    await_all_but(0);
    std::vector<Seconds> seconds;
    for (std::size_t i = 2; i < marks.size(); ++i) {
      float milliseconds = 0;
      check(cudaEventElapsedTime(&milliseconds, marks[i - 1].get(), marks[i].get()));
      seconds.emplace_back(static_cast<double>(milliseconds) * 1e-3 / calls);
    }
    return seconds;
  }

  /// Random numbers to send. What was allocated before is given back first.
  [[nodiscard]] runtime::Exchange allocate(const ExchangeShape& shape, std::size_t member, Bytes scratch) {
    for (DeviceMemory* memory : {&input_, &output_, &scratch_}) *memory = DeviceMemory();
    input_ = DeviceMemory(expected_input(shape, member));
    output_ = DeviceMemory(expected_output(shape, member));
    scratch_ = DeviceMemory(scratch);
    const bool is_bf16 = shape.precision == hw::Precision::bf16;
    const auto seed = options_.seed + static_cast<std::uint64_t>(rendezvous_.rank().value);
    launch_fill_random(seed, {input_.data(), 1, static_cast<std::int64_t>(input_.span().size()) / (is_bf16 ? 2 : 4), is_bf16}, stream_.get());
    return {ir::InstanceId{0}, member, input_.span(), output_.span()};
  }

  /// Polled, so that a peer that is gone can be told from one that is slow.
  void await(cudaEvent_t event, const runtime::CollectiveBench& bench, ncclComm_t communicator) {
    const std::chrono::duration<double> patience(options_.patience.value());
    const auto begin = Clock::now();
    while (!has_passed(event)) {
      ncclResult_t result = ncclSuccess;
      check(ncclCommGetAsyncError(communicator, &result));
      if ((result != ncclSuccess && result != ncclInProgress) || Clock::now() - begin > patience) give_up(bench, result);
      std::this_thread::sleep_for(between_polls);
    }
  }

  [[noreturn]] void give_up(const runtime::CollectiveBench& bench, ncclResult_t result) {
    const ExecutionError late = failure(bench, fmt::format("does not end after {:g} s: have all ranks come, with the same plan?", options_.patience.value()));
    const Guard guard(late.what(), abort_time, options_.give_up);
    abort_all(communicators_);   // before memory goes that its kernels use
    check(result);
    throw late;
  }

  /// Every rank's samples, told to all.
  [[nodiscard]] std::vector<std::vector<Seconds>> of_all(const std::vector<Seconds>& own) const {
    const std::vector<Message> messages = rendezvous_.all_gather(std::as_bytes(std::span(own)));
    std::vector<std::vector<Seconds>> all;
    for (std::size_t r = 0; r < messages.size(); ++r) {
      if (messages[r].size() != own.size() * sizeof(Seconds)) {
        throw ExecutionError(fmt::format("rank {} took another number of samples: do all ranks have the same options?", r));
      }
      all.emplace_back(own.size());
      std::memcpy(all.back().data(), messages[r].data(), messages[r].size());
    }
    return all;
  }

  const CudaBenchOptions& options_;
  GpuClock clock_;
  Rendezvous& rendezvous_;
  Stream stream_;
  Bytes free_{std::int64_t{1} << 62};
  std::vector<std::string> hosts_;                                                // by rank
  DeviceMemory input_, output_, scratch_;                                         // outlive the communicators, whose kernels may still use them
  std::map<std::pair<std::int32_t, std::int32_t>, Communicator> communicators_;   // by members and stride
};

}  // namespace

void bench_collectives(const BenchPlan& plan, const CudaBenchOptions& options, BenchResults& results) {
  require_nccl();
  CollectiveRun run(plan, options);
  for (const runtime::CollectiveBench& bench : plan.collectives) {
    if (options.say) options.say(name_of(bench));
    run.run(bench, results);
  }
  results.machine = machine_with(options.device, run.clock());
  results.method = fmt::format("CUDA events; a sample is {} to {} calls in a row, of the slowest member, no wait between samples; {} calls before "
                               "them; random data, which may stay in the L2 cache; NCCL {}, {}",
                               calls_of(Bytes(std::int64_t{1} << 40)), calls_of(Bytes(1)), warm_up_calls, nccl_version_text(),
                               options.communication_ctas == 0 ? "as many CTAs as it likes" : fmt::format("at most {} CTAs", options.communication_ctas));
}

}  // namespace fabricast::runtime::cuda
