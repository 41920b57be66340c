#include "runtime/mpi/mpi_executor.hpp"

#include <fmt/format.h>

#include "runtime/host_compute.hpp"
#include "runtime/host_run.hpp"
#include "runtime/measure.hpp"
#include "runtime/mpi/mpi_progress.hpp"
#include "runtime/mpi/mpi_transport.hpp"
#include "runtime/packing.hpp"

namespace fabricast::runtime {
namespace {

void pack(const MeasuredRun& run, std::size_t rank, Packer& out) {
  for (const ir::Trace& step : run.steps) out.put_all(step.ops[rank]);
  out.put_all(run.moved);
  out.put(run.arena[rank]);
  out.put(run.logits_repeat);
  pack_logits(run.logits, out);
}

void unpack(Unpacker in, std::size_t rank, MeasuredRun& run) {
  for (ir::Trace& step : run.steps) step.ops[rank] = in.get_all<ir::OpInterval>();
  const auto moved = in.get_all<Bytes>();
  for (std::size_t i = 0; i < moved.size(); ++i) run.moved[i] += moved[i];
  run.arena[rank] = in.get<Bytes>();
  run.logits_repeat = in.get<bool>() && run.logits_repeat;
  unpack_logits(in, Rank{static_cast<std::int32_t>(rank)}, run.logits);
}

MeasuredRun together(MeasuredRun own, const MpiWorld& world) {
  Packer packed;
  pack(own, static_cast<std::size_t>(world.rank()), packed);
  MeasuredRun run = std::move(own);
  run.moved.assign(run.moved.size(), Bytes{});
  run.logits.clear();
  const auto all = world.all_gather(packed.bytes());
  for (std::size_t rank = 0; rank < all.size(); ++rank) unpack(Unpacker(all[rank]), rank, run);
  std::vector<Seconds> lengths;
  for (const ir::Trace& step : run.steps) lengths.push_back(length_of(step));
  run.step_length = spread_of(std::move(lengths));
  run.ops = op_spreads(run.steps);
  return run;
}

}  // namespace

MpiExecutor::MpiExecutor(const MpiWorld& world, const std::atomic<bool>* stop) : MpiExecutor(world, std::make_unique<HostCompute>(), stop) {}

MpiExecutor::MpiExecutor(const MpiWorld& world, std::unique_ptr<Compute> compute, const std::atomic<bool>* stop)
    : world_(world), compute_(std::move(compute)), stop_(stop) {}

MeasuredRun MpiExecutor::run(const ir::Schedule& schedule, const RunOptions& options) {
  const auto ranks = static_cast<std::int32_t>(schedule.ranks.size());
  if (ranks != world_.size()) {
    throw BackendUnavailable(fmt::format("the experiment has {} ranks and MPI started {} processes; start one for each: mpirun -n {}", ranks,
                                         world_.size(), ranks));
  }
  MpiPeers peers(world_, options.stall_timeout, stop_);
  HostSite site{{Rank{world_.rank()}}, {}, peers};
  site.make_transport = [&](std::vector<ExchangeShape> shapes, const ir::Instances& instances) {
    return std::make_unique<MpiTransport>(peers.progress(), world_, std::move(shapes), instances);
  };
  HostRun run(schedule, options, *compute_, std::move(site));
  MeasuredRun own;
  try {
    own = run.run();
  } catch (...) {
    peers.progress().stop(false);   // while the memory that messages are written to is still there
    throw;
  }
  peers.progress().stop(true);
  return together(std::move(own), world_);
}

}  // namespace fabricast::runtime
