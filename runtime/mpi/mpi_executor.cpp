#include "runtime/mpi/mpi_executor.hpp"

#include <fmt/format.h>

#include <cstring>
#include <stdexcept>
#include <type_traits>

#include "runtime/host_compute.hpp"
#include "runtime/host_run.hpp"
#include "runtime/measure.hpp"
#include "runtime/mpi/mpi_progress.hpp"
#include "runtime/mpi/mpi_transport.hpp"

namespace fabricast::runtime {
namespace {

/// Plain values one after the other. Both ends are the same program.
class Packer {
 public:
  template <class Value>
  void put(const Value& value) {
    static_assert(std::is_trivially_copyable_v<Value>);
    const auto* const bytes = reinterpret_cast<const std::byte*>(&value);
    bytes_.insert(bytes_.end(), bytes, bytes + sizeof value);
  }
  template <class Value>
  void put_all(const std::vector<Value>& values) {
    put(values.size());
    const auto bytes = std::as_bytes(std::span(values));
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }
  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

class Unpacker {
 public:
  explicit Unpacker(std::span<const std::byte> bytes) : bytes_(bytes) {}
  template <class Value>
  Value get() {
    Value value{};
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }
  template <class Value>
  std::vector<Value> get_all() {
    std::vector<Value> values(get<std::size_t>());
    const auto bytes = take(values.size() * sizeof(Value));
    if (!bytes.empty()) std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
  }

 private:
  std::span<const std::byte> take(std::size_t size) {
    if (size > bytes_.size()) throw std::runtime_error("a process sent less of its measurements than it should");
    const auto taken = bytes_.first(size);
    bytes_ = bytes_.subspan(size);
    return taken;
  }
  std::span<const std::byte> bytes_;
};

void pack(const MeasuredRun& run, std::size_t rank, Packer& out) {
  for (const ir::Trace& step : run.steps) out.put_all(step.ops[rank]);
  out.put_all(run.moved);
  out.put(run.arena[rank]);
  out.put(run.logits_repeat);
  out.put(run.logits.size());
  for (const LogitsShard& shard : run.logits) {
    out.put(shard.micro_batch);
    out.put(shard.rows);
    out.put(shard.columns);
    out.put_all(shard.values);
  }
}

void unpack(Unpacker in, std::size_t rank, MeasuredRun& run) {
  for (ir::Trace& step : run.steps) step.ops[rank] = in.get_all<ir::OpInterval>();
  const auto moved = in.get_all<Bytes>();
  for (std::size_t i = 0; i < moved.size(); ++i) run.moved[i] += moved[i];
  run.arena[rank] = in.get<Bytes>();
  run.logits_repeat = in.get<bool>() && run.logits_repeat;
  for (auto shards = in.get<std::size_t>(); shards > 0; --shards) {
    LogitsShard& shard = run.logits.emplace_back();
    shard.rank = Rank{static_cast<std::int32_t>(rank)};
    shard.micro_batch = in.get<std::int32_t>();
    shard.rows = in.get<std::int64_t>();
    shard.columns = in.get<std::int64_t>();
    shard.values = in.get_all<float>();
  }
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

MeasuredRun MpiExecutor::run(const ir::Schedule& schedule, const RunOptions& options) {
  const auto ranks = static_cast<std::int32_t>(schedule.ranks.size());
  if (ranks != world_.size()) {
    throw BackendUnavailable(fmt::format("the experiment has {} ranks and MPI started {} processes; start one for each: mpirun -n {}", ranks,
                                         world_.size(), ranks));
  }
  HostCompute compute;
  MpiPeers peers(world_, options.stall_timeout, stop_);
  HostSite site{{Rank{world_.rank()}}, {}, peers};
  site.make_transport = [&](std::vector<ExchangeShape> shapes, const ir::Instances& instances) {
    return std::make_unique<MpiTransport>(peers.progress(), world_, std::move(shapes), instances);
  };
  HostRun run(schedule, options, compute, std::move(site));
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
