#include "sim/gpu_sharing.hpp"

#include <algorithm>
#include <cassert>

namespace fabricast::sim {
namespace {

__extension__ using Wide = __int128;  // products of two times

SimTime scaled_down(SimTime time, SimTime numerator, SimTime denominator) {
  return SimTime(static_cast<std::int64_t>(Wide{time.value()} * numerator.value() / denominator.value()));
}

SimTime scaled_up(SimTime time, SimTime numerator, SimTime denominator) {
  const Wide divisor = denominator.value();
  return SimTime(static_cast<std::int64_t>((Wide{time.value()} * numerator.value() + divisor - 1) / divisor));
}

}  // namespace

void GpuSharing::start(Rank rank, ir::OpIndex op) {
  Gpu& gpu = gpus_[rank.index()];
  Kernel kernel{op, times_.of(rank, op), {}, {}, engine_.now(), engine_.now(), {}};
  kernel.slowed = times_.of(rank, op, gpu.load);
  kernel.left = kernel.alone;
  kernel.finish = engine_.now() + kernel.slowed;
  gpu.running.push_back(kernel);
  announce(rank, kernel);
}

bool GpuSharing::end(Rank rank, ir::OpIndex op) {
  Gpu& gpu = gpus_[rank.index()];
  auto& running = gpu.running;
  const auto kernel = std::find_if(running.begin(), running.end(), [&](const Kernel& candidate) { return candidate.op == op; });
  if (kernel == running.end() || kernel->finish != engine_.now()) return false;
  gpu.lost += kernel->finish - kernel->start - kernel->alone;
  running.erase(kernel);
  return true;
}

void GpuSharing::hold(Rank rank, const hw::GpuLoad& load) {
  if (load == hw::GpuLoad{}) return;
  hw::GpuLoad& held = gpus_[rank.index()].load;
  held.streaming_multiprocessors += load.streaming_multiprocessors;
  held.memory_bandwidth += load.memory_bandwidth;
  change_rates(rank);
}

void GpuSharing::release(Rank rank, const hw::GpuLoad& load) {
  if (load == hw::GpuLoad{}) return;
  hw::GpuLoad& held = gpus_[rank.index()].load;
  held.streaming_multiprocessors -= load.streaming_multiprocessors;
  held.memory_bandwidth -= load.memory_bandwidth;
  assert(held.streaming_multiprocessors >= 0 && held.memory_bandwidth >= BytesPerSecond(0) && "more was released than was held");
  change_rates(rank);
}

void GpuSharing::change_rates(Rank rank) {
  Gpu& gpu = gpus_[rank.index()];
  for (Kernel& kernel : gpu.running) {
    if (kernel.alone == SimTime(0)) continue;
    kernel.left -= std::min(kernel.left, scaled_down(engine_.now() - kernel.since, kernel.alone, kernel.slowed));
    kernel.since = engine_.now();
    kernel.slowed = times_.of(rank, kernel.op, gpu.load);
    const SimTime finish = engine_.now() + scaled_up(kernel.left, kernel.slowed, kernel.alone);
    if (finish == kernel.finish) continue;
    kernel.finish = finish;
    announce(rank, kernel);
  }
}

void GpuSharing::announce(Rank rank, const Kernel& kernel) {
  engine_.schedule(kernel.finish, {kind_, static_cast<std::uint32_t>(rank.value), static_cast<std::uint32_t>(kernel.op.value)});
}

}  // namespace fabricast::sim
