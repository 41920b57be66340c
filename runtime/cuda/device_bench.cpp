#include "runtime/cuda/device_bench.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "runtime/cuda/collective_bench.hpp"
#include "runtime/cuda/device_compute.hpp"
#include "runtime/cuda/device_info.hpp"
#include "runtime/cuda/kernels.hpp"
#include "runtime/measure.hpp"
#include "strategies/ir/work_json.hpp"

namespace fabricast::runtime::cuda {
namespace {

constexpr int every_candidate = 32;
constexpr Seconds clocks_rise{0.2};
constexpr std::int64_t traffic_place = 4;        // caches large: what is written goes to memory
constexpr std::int32_t most_attempts = 5;

double in_gigabytes(Bytes bytes) { return static_cast<double>(bytes.value()) * 1e-9; }

Bytes free_memory() {
  std::size_t free = 0, all = 0;
  check(cudaMemGetInfo(&free, &all));
  return Bytes(static_cast<std::int64_t>(free));
}

void require_precision(const hw::Kernel& kernel) {
  const hw::Precision precision = std::visit([](const auto& work) { return work.precision; }, kernel);
  if (precision == hw::Precision::fp32 || precision == hw::Precision::bf16) return;
  throw BackendUnavailable(fmt::format("the CUDA backend computes in fp32 and bf16, not in {}", hw::name_of(precision)));
}

bool is_product(const hw::Kernel& kernel) {
  return std::holds_alternative<hw::Gemm<std::int64_t>>(kernel) || std::holds_alternative<hw::GroupedGemm<hw::ExpertRowCounts>>(kernel);
}

const CudaDevice& with_memory_for_samples(const CudaDevice& device, std::int32_t number) {
  const Bytes needed = (2 + traffic_place) * device.cache + 2 * hopper_workspace;
  if (needed <= device.free) return device;
  throw BackendUnavailable(fmt::format("out of device memory: micro-benchmarks need {:.1f} GB beside their operands, and GPU {} ({}) has {:.1f} of "
                                       "{:.1f} GB free; does another process hold it?",
                                       in_gigabytes(needed), number, device.name, in_gigabytes(device.free), in_gigabytes(device.memory)));
}

}  // namespace

DeviceBench::DeviceBench(const CudaBenchOptions& options)
    : options_(options),
      device_(with_memory_for_samples(describe_device(options.device), options.device)),
      clock_(options.device),
      compute_(make_stream(Priority::low)),
      communication_(make_stream(Priority::high)),
      sampler_(options.repetitions, device_.cache, [this] { clock_.sample(); }),
      gemms_(options.compute_sms, static_cast<std::size_t>(hopper_workspace.value())),
      every_gemm_(0, static_cast<std::size_t>(hopper_workspace.value()), every_candidate),
      attentions_(options.attention, static_cast<std::size_t>(hopper_workspace.value()), options.warn) {
  sampler_.warm_up(compute_.get(), clocks_rise);
}

void DeviceBench::require_memory(Bytes needed) const {
  const Bytes free = free_memory();
  if (needed <= free) return;
  throw BackendUnavailable(fmt::format("out of device memory: it needs {:.1f} GB, and GPU {} ({}) has {:.1f} GB free", in_gigabytes(needed),
                                       options_.device, device_.name, in_gigabytes(free)));
}

/// With its kernel chosen, as before the first step of a run.
std::unique_ptr<DeviceKernel> DeviceBench::ready(const hw::Kernel& kernel) {
  require_precision(kernel);
  require_memory(DeviceKernel::memory_of(kernel, options_.expert_streams));
  auto work = std::make_unique<DeviceKernel>(kernel, compute_.get(), options_.expert_streams, options_.seed);
  try {
    prepare(work->op(), work->space(), {gemms_, attentions_});
  } catch (const CudaError&) {
    throw;
  } catch (const std::exception& error) {   // a shape that no kernel takes
    throw BackendUnavailable(error.what());
  }
  tune(work->op(), work->space(), gemms_);
  return work;
}

BenchResults::KernelTime DeviceBench::kernel(const hw::Kernel& kernel) {
  const auto work = ready(kernel);
  const auto launches = static_cast<std::int64_t>(std::max<std::size_t>(1, count_products(work->op(), work->space())));
  std::vector<Sampler::Work> works{{[&] { compute(work->op(), work->tables(), work->space(), {gemms_, attentions_}); }, launches}};
  if (is_product(kernel)) {
    prepare(work->op(), work->space(), {every_gemm_, attentions_});
    tune(work->op(), work->space(), every_gemm_);
    works.push_back({[&] { multiply_in_turn(work->op(), work->space(), every_gemm_); }, launches});
  }
  std::vector<std::vector<Seconds>> times = sampler_.sample(compute_.get(), works);
  BenchResults::KernelTime result{kernel, spread_of(std::move(times[0])), {}};
  if (times.size() > 1) result.best = spread_of(std::move(times[1]));
  return result;
}

Spread DeviceBench::copy(Bytes bytes) {
  require_memory(2 * bytes);
  const DeviceMemory from(bytes), to(bytes);
  launch_fill_random(options_.seed, {from.data(), 1, bytes.value() / 2, true}, compute_.get());
  const std::array works{Sampler::Work{[&] {
    check(cudaMemcpyAsync(to.data(), from.data(), from.span().size(), cudaMemcpyDeviceToDevice, compute_.get()));
  }}};
  return spread_of(sampler_.sample(compute_.get(), works).front());
}

Spread DeviceBench::launch() { return kernel(hw::ResidualAdd<std::int64_t>{1, 16, hw::Precision::bf16}).seconds; }

BenchResults::Interference DeviceBench::beside(const hw::Kernel& kernel, const Traffic& traffic) {
  const auto work = ready(kernel);
  const auto launches = static_cast<std::int64_t>(std::max<std::size_t>(1, count_products(work->op(), work->space())));
  const std::array works{Sampler::Work{[&] { compute(work->op(), work->tables(), work->space(), {gemms_, attentions_}); }, launches}};
  BenchResults::Interference result{kernel, spread_of(sampler_.sample(compute_.get(), works).front()).median, {}, {}, traffic.ctas, {}};
  Seconds lasts = 2.0 * sampler_.lasted() + Seconds(2e-3);
  require_memory(traffic_place * device_.cache);
  const DeviceMemory place(traffic_place * device_.cache);
  const Event begin = make_event(), end = make_event();
  for (std::int32_t attempt = 0; attempt < most_attempts; ++attempt, lasts = 2.0 * lasts) {
    const Bytes bytes(std::llround(traffic.rate.value() * lasts.value()));
    check(cudaEventRecord(begin.get(), communication_.get()));
    launch_traffic(options_.seed, {place.data(), 1, static_cast<std::int64_t>(place.span().size()) / 2, true}, bytes.value(), traffic.ctas,
                   std::llround(lasts.value() * 1e9), communication_.get());
    check(cudaEventRecord(end.get(), communication_.get()));
    check(cudaStreamWaitEvent(compute_.get(), begin.get()));
    result.beside = spread_of(sampler_.sample(compute_.get(), works).front()).median;
    check(cudaStreamSynchronize(communication_.get()));
    float lasted = 0, sampled = 0;   // milliseconds
    check(cudaEventElapsedTime(&lasted, begin.get(), end.get()));
    check(cudaEventElapsedTime(&sampled, begin.get(), sampler_.last_end()));
    result.communication = bytes / Seconds(static_cast<double>(lasted) * 1e-3);
    result.memory = result.communication;   // it writes what it stands for, once
    if (lasted >= sampled) return result;
  }
  throw BackendUnavailable(fmt::format("{} CTAs of traffic ended before the kernels beside it, however long it was made", traffic.ctas));
}

namespace {

std::string beside_text(const hw::Kernel& kernel, const Traffic& traffic) {
  return fmt::format("beside {} CTAs of traffic at {:.0f} GB/s: {}", traffic.ctas, traffic.rate.value() * 1e-9, ir::kernel_json(kernel));
}

/// Everything that one process times. What the device cannot do is left out.
class DevicePlanRun {
 public:
  DevicePlanRun(const CudaBenchOptions& options, BenchResults& results) : options_(options), results_(results), bench_(options) {}

  void run(const BenchPlan& plan) {
    attempt("launch", [&] { results_.launch = bench_.launch(); });
    for (const Bytes bytes : plan.copies) {
      attempt(fmt::format("copy of {} bytes", bytes.value()), [&] { results_.copies.push_back({bytes, bench_.copy(bytes)}); });
    }
    for (const hw::Kernel& kernel : plan.kernels) {
      attempt(ir::kernel_json(kernel), [&] { results_.kernels.push_back(bench_.kernel(kernel)); });
    }
    for (const hw::Kernel& kernel : plan.beside) {
      for (const Traffic& traffic : options_.traffic) {
        attempt(beside_text(kernel, traffic), [&] { results_.interference.push_back(bench_.beside(kernel, traffic)); });
      }
    }
    results_.method = bench_.method();
    results_.machine = machine_with(options_.device, bench_.clock());
    results_.machine.attention = bench_.attention();
    const auto largest = std::max_element(results_.copies.begin(), results_.copies.end(),
                                          [](const auto& a, const auto& b) { return a.bytes < b.bytes; });
    if (largest != results_.copies.end()) results_.copy_rate = 2 * largest->bytes / largest->seconds.median;
  }

 private:
  template <class Body>
  void attempt(const std::string& what, Body body) {
    if (options_.say) options_.say(what);
    try {
      body();
    } catch (const BackendUnavailable& error) {
      results_.left_out.push_back({what, error.what()});
    } catch (const CudaError& error) {
      if (error.status() != cudaErrorMemoryAllocation) throw ExecutionError(what + ": " + error.what());
      results_.left_out.push_back({what, std::string("out of device memory: ") + error.what()});
    } catch (const std::exception& error) {
      throw ExecutionError(what + ": " + error.what());
    }
  }

  const CudaBenchOptions& options_;
  BenchResults& results_;
  DeviceBench bench_;
};

}  // namespace

BenchResults run_on_device(const BenchPlan& plan, const CudaBenchOptions& options) {
  if (options.repetitions < 1) throw std::invalid_argument("micro-benchmarks need a sample");
  check(cudaSetDevice(options.device));
  BenchResults results;
  results.repetitions = options.repetitions;
  if (options.rendezvous && options.rendezvous->ranks() > 1) {
    results.ranks = options.rendezvous->ranks();
    bench_collectives(plan, options, results);
  } else {
    DevicePlanRun(options, results).run(plan);
  }
  if (results.kernels.empty() && results.copies.empty() && results.collectives.empty()) {
    const std::string why = results.left_out.empty() ? "the plan has nothing that this job can time" : results.left_out.back().what + ": " +
                                                                                                           results.left_out.back().why;
    throw BackendUnavailable("no micro-benchmark could be run: " + why);
  }
  return results;
}

}  // namespace fabricast::runtime::cuda
