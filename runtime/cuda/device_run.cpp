#include "runtime/cuda/device_run.hpp"

#include <fmt/format.h>
#include <nvtx3/nvToolsExt.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstring>

#include "runtime/cuda/device_compute.hpp"
#include "runtime/cuda/device_info.hpp"
#include "runtime/host_limits.hpp"
#include "runtime/matrix.hpp"
#include "runtime/measure.hpp"
#include "runtime/packing.hpp"
#include "strategies/ir/validate.hpp"

namespace fabricast::runtime::cuda {
namespace {

constexpr std::chrono::milliseconds watch_interval{50};
constexpr std::chrono::microseconds poll_interval{20};
constexpr std::chrono::milliseconds step_margin{1};      // longer than word of the last rank takes to come to all
constexpr std::chrono::seconds comparison_interval{5};
constexpr std::chrono::seconds connect_patience{60}, return_patience{1}, leave_patience{60};

double gigabytes(Bytes bytes) { return static_cast<double>(bytes.value()) * 1e-9; }

/// For profilers: what the host issues meanwhile, and so what the device runs for it.
class Range {
 public:
  explicit Range(const std::string& name) { nvtxRangePushA(name.c_str()); }
  ~Range() { nvtxRangePop(); }
  Range(const Range&) = delete;
  Range& operator=(const Range&) = delete;
};

/// Less where very many ranks share a device.
Bytes workspace_of(CudaMode mode) { return mode == CudaMode::virtual_ranks ? Bytes(std::int64_t{4} << 20) : hopper_workspace; }

DeviceRankOptions rank_options(const RunOptions& options, const CudaOptions& cuda, hw::Precision precision) {
  return {options.seed, precision, cuda.expert_streams, workspace_of(cuda.mode)};
}

bool same_bits(const std::vector<LogitsShard>& a, const std::vector<LogitsShard>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const LogitsShard& x, const LogitsShard& y) {
    return x.values.size() == y.values.size() && std::memcmp(x.values.data(), y.values.data(), x.values.size() * sizeof(float)) == 0;
  });
}

LogitsShard shard_of(const BoundOp& op, const std::byte* data, hw::Precision precision) {
  LogitsShard shard;
  shard.rank = op.rank;
  shard.micro_batch = op.op->step.micro_batch;
  with_element(precision, [&](auto element) {
    using Element = decltype(element);
    const View& view = op.writes.at(0);
    shard.rows = view.rows;
    shard.columns = view.row_bytes / static_cast<std::int64_t>(sizeof(Element));
    const auto* const values = reinterpret_cast<const Element*>(data);
    shard.values.resize(static_cast<std::size_t>(shard.rows * shard.columns));
    for (std::size_t i = 0; i < shard.values.size(); ++i) shard.values[i] = to_float(values[i]);
  });
  return shard;
}

std::vector<Rank> ranks_here(const ir::Schedule& schedule, const CudaOptions& cuda) {
  if (cuda.mode != CudaMode::virtual_ranks) return {cuda.rank};
  std::vector<Rank> all;
  for (std::size_t r = 0; r < schedule.ranks.size(); ++r) all.push_back(Rank{static_cast<std::int32_t>(r)});
  return all;
}

/// Before anything is asked of the schedule about a rank that it may not have.
const ir::Schedule& with_rank(const ir::Schedule& schedule, const CudaOptions& cuda) {
  const auto ranks = static_cast<std::int32_t>(schedule.ranks.size());
  if (cuda.mode != CudaMode::virtual_ranks && (cuda.rank.value < 0 || cuda.rank.value >= ranks)) {
    throw BackendUnavailable(fmt::format("rank {} is not in this experiment, which has {} ranks (0 to {})", cuda.rank.value, ranks, ranks - 1));
  }
  return schedule;
}

}  // namespace

/// A failure leaves by way of what it may have broken: aborts, and the freeing of memory.
template <class Body>
auto DeviceRun::or_end_soon(Body body) {
  try {
    return body();
  } catch (const std::exception& error) {
    const std::lock_guard lock(mutex_);
    if (!last_resort_) last_resort_.emplace(error.what(), return_patience, cuda_.give_up);
    throw;
  }
}

DeviceRun::DeviceRun(const ir::Schedule& schedule, const RunOptions& options, const CudaOptions& cuda)
    : schedule_(with_rank(schedule, cuda)),
      options_(options),
      cuda_(cuda),
      precision_(require_one_precision(schedule, "the CUDA backend")),
      instances_(ir::match_instances(schedule)),
      here_(ranks_here(schedule, cuda)),
      units_(issue_order(schedule, instances_, here_)),
      progress_(schedule, units_),
      ranks_(schedule.ranks.size()),
      clock_(cuda.device) {
  require_options();
  check(cudaSetDevice(cuda_.device));
  if (cuda_.mode == CudaMode::slice) options_.keep_logits = false;   // its numbers are random
  zero_ = make_event();
  watch_ = std::jthread([this](const std::stop_token& stop) { watch(stop); });
  or_end_soon([this] {
    make_ranks();
    connect();
    prepare();
  });
}

/// Kernels that wait for peers end before the memory goes that they use. A device that is lost may not give it back.
DeviceRun::~DeviceRun() {
  {
    const std::lock_guard lock(mutex_);
    if (!last_resort_) {
      last_resort_.emplace(fmt::format("rank {}: GPU {} or NCCL does not come back after {} s, though all ops have ended", here_.front().value,
                                       cuda_.device, leave_patience.count()),
                           leave_patience, cuda_.give_up);
    }
  }
  watch_.request_stop();
  watch_ = {};
  if (transport_) transport_->abort();
}

void DeviceRun::require_options() const {
  if (options_.timed_steps < 1) throw std::invalid_argument("a run needs a timed step");
  if (options_.warm_up_steps < 0) throw std::invalid_argument("warm-up steps cannot be fewer than 0");
  if (cuda_.mode != CudaMode::distributed) return;
  const auto ranks = static_cast<std::int32_t>(schedule_.ranks.size()), processes = cuda_.rendezvous ? cuda_.rendezvous->ranks() : 1;
  if (ranks != processes) {
    throw BackendUnavailable(fmt::format("the experiment has {} ranks and the job has {} processes; start one process, with a GPU, for each rank "
                                         "(or --virtual-ranks, or --slice RANK, on one GPU)",
                                         ranks, processes));
  }
}

void DeviceRun::require_capacity(const std::vector<ir::MemoryPlan>& plans) const {
  Bytes needed;
  for (std::size_t i = 0; i < plans.size(); ++i) {
    needed += plans[i].peak + DeviceRank::beside_arena(schedule_, here_[i], rank_options(options_, cuda_, precision_));
  }
  const CudaDevice device = describe_device(cuda_.device);
  if (needed <= device.free) return;
  const std::string who = here_.size() == 1 ? fmt::format("rank {} needs", here_[0].value) : fmt::format("the {} ranks need", here_.size());
  throw BackendUnavailable(fmt::format("out of device memory: {} {:.1f} GB, and GPU {} ({}) has {:.1f} of {:.1f} GB free; reduce the tokens or the "
                                       "model's widths, or use more GPUs",
                                       who, gigabytes(needed), cuda_.device, device.name, gigabytes(device.free), gigabytes(device.memory)));
}

void DeviceRun::make_ranks() {
  std::vector<ir::MemoryPlan> plans;
  for (const Rank rank : here_) plans.push_back(ir::plan_memory(schedule_, rank));
  require_capacity(plans);
  for (std::size_t i = 0; i < here_.size(); ++i) {
    const Rank rank = here_[i];
    try {
      ranks_[rank.index()] =
          std::make_unique<DeviceRank>(schedule_, rank, instances_, std::move(plans[i]), rank_options(options_, cuda_, precision_));
    } catch (const CudaError& error) {
      const bool is_full = error.status() == cudaErrorMemoryAllocation;
      throw BackendUnavailable(fmt::format("rank {}: {}{}", rank.value, is_full ? "out of device memory while its buffers are allocated: " : "",
                                           error.what()));
    }
  }
}

void DeviceRun::connect() {
  {
    const std::lock_guard lock(mutex_);
    moved_at_ = Clock::now();
    phase_ = Phase::connecting;
  }
  std::unique_ptr<DeviceTransport> transport;
  switch (cuda_.mode) {
    case CudaMode::virtual_ranks: {
      std::vector<const std::vector<BoundOp>*> ops;
      for (const auto& rank : ranks_) ops.push_back(&rank->ops());
      transport = make_copy_transport(schedule_, instances_, options_.node_of, ops);
      break;
    }
    case CudaMode::slice: transport = make_stand_in_transport(cuda_.traffic, precision_ == hw::Precision::bf16, options_.seed); break;
    case CudaMode::distributed:
      transport = make_nccl_transport(schedule_, instances_, cuda_.rank, options_.node_of, cuda_.rendezvous, cuda_.communication_ctas);
      break;
  }
  {
    const std::lock_guard lock(mutex_);
    transport_ = std::move(transport);
  }
  if (cuda_.mode == CudaMode::distributed) rehearse();
  phase_ = Phase::preparing;
}

/// Each collective once, on whatever memory holds, before any computes: NCCL connects peers when they first meet, and allocates memory for it. CUDA may
/// wait for the whole device then, and so for ever for a kernel that waits for peers. In ascending order on every rank, and one at a time.
void DeviceRun::rehearse() {
  phase_ = Phase::rehearsing;
  const DeviceRank& rank = *ranks_[cuda_.rank.index()];
  for (const ir::Instance& instance : instances_.all) {
    const auto found = std::find_if(instance.members.begin(), instance.members.end(), [&](const auto& m) { return m.rank == cuda_.rank; });
    if (found == instance.members.end()) continue;
    const ir::InstanceMember own = *found;
    const BoundOp& op = rank.ops()[own.op.index()];
    const cudaStream_t stream = rank.stream(op.op->stream);
    try {
      transport_->exchange(std::array{DeviceMember{&op, stream, rank.reached(own.op)}});
      check(cudaEventRecord(rank.done(own.op), stream));
      while (!has_ended(own)) {
        throw_if_given_up();
        std::this_thread::sleep_for(poll_interval);
      }
    } catch (const std::exception& error) {
      throw_if_given_up();
      throw ExecutionError(ir::describe(schedule_, own.rank, own.op) + ", rehearsed: " + error.what(), ExecutionError::Place{own.rank, own.op});
    }
  }
}

void DeviceRun::prepare() {
  const auto workspace = static_cast<std::size_t>(workspace_of(cuda_.mode).value());
  gemms_ = std::make_unique<Gemms>(cuda_.compute_sms, workspace);
  attentions_ = std::make_unique<Attentions>(cuda_.attention, workspace, cuda_.warn);
  const Libraries libraries{*gemms_, *attentions_};
  std::size_t logits_bytes = 0;
  for (const Rank r : here_) {
    DeviceRank& rank = *ranks_[r.index()];
    prepare_computation(schedule_, rank, libraries);
    if (cuda_.mode != CudaMode::virtual_ranks) {
      rank.fill_random();
      if (cuda_.tune_gemms) tune_computation(rank, *gemms_);
      load_kernels(rank, libraries);
    }
    rank.fill_memory(cuda_.mode == CudaMode::slice);
    for (const BoundOp& op : rank.ops()) logits_bytes += op.writes_logits ? op.writes.at(0).bytes().size() : 0;
  }
  if (options_.keep_logits) logits_memory_ = PinnedMemory(logits_bytes);
  phase_ = Phase::between_steps;
}

MeasuredRun DeviceRun::run() {
  return or_end_soon([this] { return run_steps(); });
}

MeasuredRun DeviceRun::run_steps() {
  std::vector<LogitsShard> first, last;
  std::vector<Stamps> steps;
  if (options_.keep_logits) first = check_step();
  for (std::int32_t i = 0; i < options_.warm_up_steps; ++i) step(StepKind::warms_up);
  for (std::int32_t i = 0; i < options_.timed_steps; ++i) {
    step(StepKind::is_timed);
    steps.push_back(read_stamps());
  }
  if (options_.keep_logits) last = check_step();
  return collect(std::move(first), last, std::move(steps));
}

std::vector<LogitsShard> DeviceRun::check_step() {
  kept_logits_.clear();
  logits_used_ = 0;
  step(StepKind::keeps_logits);
  std::vector<LogitsShard> logits;
  for (const Rank rank : here_) {
    for (const KeptLogits& kept : kept_logits_) {
      if (kept.op->rank == rank) logits.push_back(shard_of(*kept.op, logits_memory_.span().data() + kept.offset, precision_));
    }
  }
  return logits;
}

void DeviceRun::step(StepKind kind) {
  open_step();
  {
    const std::lock_guard lock(mutex_);
    progress_.begin_step();
    moved_at_ = Clock::now();
    phase_ = Phase::in_step;
  }
  for (const IssueUnit& unit : units_) {
    throw_if_given_up();
    issue(unit, kind == StepKind::keeps_logits);
    progress_.issued();
  }
  if (kind == StepKind::is_timed) clock_.sample();
  await_end();
  phase_ = Phase::between_steps;
}

/// All ranks begin at one time of the common clock. The device's own clock is tied to it by an event on the idle device.
void DeviceRun::open_step() {
  std::optional<Clock::time_point> begin;
  if (cuda_.rendezvous) {
    const bool compares = began_at_ >= compare_at_;   // alike on all ranks
    if (compares) cuda_.rendezvous->compare_clocks();
    const auto offset = std::chrono::nanoseconds(std::llround(cuda_.rendezvous->clock_offset().value() * 1e9));
    const std::int64_t ready = std::chrono::nanoseconds(Clock::now().time_since_epoch() - offset).count();
    std::int64_t last = ready;
    for (const Message& message : cuda_.rendezvous->all_gather(std::as_bytes(std::span(&ready, 1)))) {
      last = std::max(last, Unpacker(message).get<std::int64_t>());
    }
    began_at_ = last;
    if (compares) compare_at_ = last + std::chrono::nanoseconds(comparison_interval).count();
    begin = Clock::time_point(std::chrono::nanoseconds(last) + offset + step_margin);
    std::this_thread::sleep_until(*begin - step_margin / 4);   // a sleep ends late; the rest is waited awake
    while (Clock::now() < *begin) std::this_thread::yield();
  }
  check(cudaEventRecord(zero_.get(), ranks_[here_.front().index()]->stream(ir::compute_stream)));
  while (!has_passed(zero_.get())) {}
  zero_late_ = Seconds(begin ? std::chrono::duration<double>(Clock::now() - *begin).count() : 0.0);
}

void DeviceRun::issue(const IssueUnit& unit, bool keeps_logits) {
  const ir::InstanceMember first = unit.members.front();
  const ir::Op& what = schedule_.program_of(first.rank).ops[first.op.index()];
  const Range range(schedule_.label(what.label));
  try {
    members_.clear();
    for (const auto& [r, index] : unit.members) {
      const DeviceRank& rank = *ranks_[r.index()];
      const BoundOp& op = rank.ops()[index.index()];
      const cudaStream_t stream = rank.stream(op.op->stream);
      for (const ir::OpIndex earlier : op.op->after) check(cudaStreamWaitEvent(stream, rank.done(earlier)));
      check(cudaEventRecord(rank.reached(index), stream));
      members_.push_back({&op, stream, rank.reached(index)});
    }
    if (ir::communicates(what.work)) {
      transport_->exchange(members_);
    } else {
      compute(*members_.front().op, *ranks_[first.rank.index()], {*gemms_, *attentions_});
    }
    for (const DeviceMember& member : members_) {
      if (keeps_logits && member.op->writes_logits) copy_logits(*member.op, member.stream);
      check(cudaEventRecord(ranks_[member.op->rank.index()]->done(member.op->index), member.stream));
    }
  } catch (const std::exception& error) {
    throw_if_given_up();
    throw ExecutionError(ir::describe(schedule_, first.rank, first.op) + ": " + error.what(), ExecutionError::Place{first.rank, first.op});
  }
}

/// Behind the op on its stream, before a later one may take its memory.
void DeviceRun::copy_logits(const BoundOp& op, cudaStream_t stream) {
  const std::span<std::byte> bytes = op.writes.at(0).bytes();
  check(cudaMemcpyAsync(logits_memory_.span().data() + logits_used_, bytes.data(), bytes.size(), cudaMemcpyDeviceToHost, stream));
  kept_logits_.push_back({&op, logits_used_});
  logits_used_ += bytes.size();
}

bool DeviceRun::has_ended(ir::InstanceMember member) const {
  return has_passed(ranks_[member.rank.index()]->done(member.op));
}

void DeviceRun::await_end() {
  while (!progress_.all_ended()) {
    throw_if_given_up();
    try {
      progress_.advance([&](ir::InstanceMember member) { return has_ended(member); });
    } catch (const CudaError& error) {
      throw failure(error.what());
    }
    std::this_thread::sleep_for(poll_interval);
  }
}

DeviceRun::Stamps DeviceRun::read_stamps() const {
  const auto since_zero = [&](cudaEvent_t event) {
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, zero_.get(), event));
    return to_sim_time(Seconds(static_cast<double>(milliseconds) * 1e-3) + zero_late_);
  };
  Stamps stamps(ranks_.size());
  for (const Rank r : here_) {
    const DeviceRank& rank = *ranks_[r.index()];
    for (const BoundOp& op : rank.ops()) stamps[r.index()].push_back({since_zero(rank.reached(op.index)), since_zero(rank.done(op.index))});
  }
  return stamps;
}

void DeviceRun::watch(const std::stop_token& stop) {
  (void)cudaSetDevice(cuda_.device);
  while (!stop.stop_requested()) {
    {
      std::unique_lock lock(mutex_);
      (void)wake_.wait_for(lock, stop, watch_interval, [] { return false; });
    }
    try {
      watch_once();
    } catch (const std::exception& error) {
      give_up(failure(error.what()).what());
    }
  }
}

void DeviceRun::watch_once() {
  const Phase phase = phase_;
  if (phase == Phase::in_step) progress_.advance([&](ir::InstanceMember member) { return has_ended(member); });
  std::string why;
  {
    const std::lock_guard lock(mutex_);
    const auto now = Clock::now();
    if (trouble_) return;
    const std::size_t moves = progress_.moves();
    const bool connects = phase == Phase::connecting || phase == Phase::rehearsing;
    const bool waits = connects || (phase == Phase::in_step && moves == seen_moves_ && !progress_.is_computing());
    if (!waits) moved_at_ = now;
    seen_moves_ = moves;
    const std::chrono::duration<double> still = now - moved_at_;
    if (connects && still > connect_patience) {
      why = fmt::format("rank {}: NCCL does not connect the ranks after {} s: has one of them ended, or does a firewall stand between them?",
                        here_.front().value, connect_patience.count());
    } else if (phase == Phase::in_step && still.count() > options_.stall_timeout.value()) {
      why = fmt::format("no op has ended for {:g} s: {}", options_.stall_timeout.value(), under_way());
    }
  }
  if (!why.empty()) give_up(why);
  if (phase == Phase::in_step || phase == Phase::rehearsing) transport_->check_health();
}

void DeviceRun::give_up(const std::string& why) {
  DeviceTransport* transport = nullptr;
  {
    const std::lock_guard lock(mutex_);
    if (trouble_) return;
    trouble_ = why;
    last_resort_.emplace(why, return_patience, cuda_.give_up);
    transport = transport_.get();
  }
  if (transport) transport->abort();
}

void DeviceRun::throw_if_given_up() {
  const std::lock_guard lock(mutex_);
  if (!trouble_) return;
  const auto heads = progress_.under_way();
  throw ExecutionError(*trouble_, heads.empty() ? std::nullopt : std::optional(ExecutionError::Place{heads.front().rank, heads.front().op}));
}

std::string DeviceRun::under_way() const {
  constexpr std::size_t most_named = 4;
  const auto heads = progress_.under_way();
  std::string text;
  for (std::size_t i = 0; i < std::min(heads.size(), most_named); ++i) {
    text += (i == 0 ? "" : "; ") + ir::describe(schedule_, heads[i].rank, heads[i].op);
  }
  if (heads.size() > most_named) text += fmt::format("; and {} more", heads.size() - most_named);
  return text.empty() ? fmt::format("rank {}, before its first op", here_.front().value) : text + " wait for their peers";
}

/// What the device reports is behind: the ops that it was at are named.
ExecutionError DeviceRun::failure(const std::string& why) const {
  const auto heads = progress_.under_way();
  if (heads.empty()) return ExecutionError(fmt::format("rank {}: {}", here_.front().value, why));
  return ExecutionError(fmt::format("{}{}: {}", ir::describe(schedule_, heads[0].rank, heads[0].op),
                                    heads.size() > 1 ? fmt::format(" or one of {} ops beside it", heads.size() - 1) : "", why),
                        ExecutionError::Place{heads[0].rank, heads[0].op});
}

/// Every process leaves with the stamps and logits of all.
void DeviceRun::join_ranks(MeasuredRun& run, std::vector<Stamps>& steps) const {
  Packer packed;
  for (const Stamps& step : steps) packed.put_all(step[cuda_.rank.index()]);
  packed.put(run.arena[cuda_.rank.index()]);
  packed.put(run.logits_repeat);
  packed.put_all(std::vector<char>(run.machine.attention.begin(), run.machine.attention.end()));
  pack_logits(run.logits, packed);
  const std::vector<Message> all = cuda_.rendezvous->all_gather(packed.bytes());
  run.logits.clear();
  std::string first;
  for (std::size_t r = 0; r < all.size(); ++r) {
    Unpacker in(all[r]);
    for (Stamps& step : steps) {
      step[r] = in.get_all<OpStamps>();
      if (step[r].size() != schedule_.program_of(Rank{static_cast<std::int32_t>(r)}).ops.size()) {
        throw ExecutionError(fmt::format("rank {} ran another number of ops: do all ranks run the same experiment?", r));
      }
    }
    run.arena[r] = in.get<Bytes>();
    run.logits_repeat = in.get<bool>() && run.logits_repeat;
    const std::vector<char> letters = in.get_all<char>();
    const std::string attention(letters.begin(), letters.end());
    if (r == 0) run.machine.attention = first = attention;
    if (attention != first && run.machine.attention == first) run.machine.attention += fmt::format("; of rank {}: {}", r, attention);
    unpack_logits(in, Rank{static_cast<std::int32_t>(r)}, run.logits);
  }
}

MeasuredRun DeviceRun::collect(std::vector<LogitsShard> first, const std::vector<LogitsShard>& last, std::vector<Stamps> steps) const {
  MeasuredRun run;
  run.machine = machine_with(cuda_.device, clock_);
  run.machine.attention = attentions_->used();
  run.arena.resize(ranks_.size());
  for (const Rank rank : here_) run.arena[rank.index()] = ranks_[rank.index()]->arena_bytes();
  run.logits_repeat = options_.keep_logits && same_bits(first, last);
  run.logits = std::move(first);
  for (std::size_t i = 0; i < instances_.all.size(); ++i) run.moved.push_back(transport_->moved(ir::InstanceId{static_cast<std::int32_t>(i)}));
  std::vector<IssueUnit> units = units_;
  if (cuda_.rendezvous) {
    join_ranks(run, steps);
    std::vector<Rank> all(ranks_.size());
    for (std::size_t r = 0; r < all.size(); ++r) all[r] = Rank{static_cast<std::int32_t>(r)};
    units = issue_order(schedule_, instances_, all);
  }
  std::vector<Seconds> lengths;
  for (const Stamps& step : steps) {
    run.steps.push_back(assemble_trace(schedule_, units, step));
    lengths.push_back(length_of(run.steps.back()));
  }
  run.step_length = spread_of(std::move(lengths));
  run.ops = op_spreads(run.steps);
  run.instances = instances_;
  return run;
}

}  // namespace fabricast::runtime::cuda
