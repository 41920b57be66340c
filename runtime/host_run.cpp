#include "runtime/host_run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <iterator>
#include <numeric>
#include <span>
#include <stdexcept>
#include <system_error>
#include <thread>

#include "runtime/host_limits.hpp"
#include "runtime/measure.hpp"
#include "runtime/parameters.hpp"
#include "strategies/ir/validate.hpp"

namespace fabricast::runtime {
namespace {

constexpr std::chrono::milliseconds watch_interval{50};

const RunOptions& checked(const RunOptions& options) {
  if (options.timed_steps < 1) throw std::invalid_argument("a run needs a timed step");
  if (options.warm_up_steps < 0) throw std::invalid_argument("warm-up steps cannot be fewer than 0");
  return options;
}

bool same_bits(const std::vector<LogitsShard>& a, const std::vector<LogitsShard>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const LogitsShard& x, const LogitsShard& y) {
    return std::equal(x.values.begin(), x.values.end(), y.values.begin(), y.values.end(),
                      [](float u, float v) { return std::bit_cast<std::uint32_t>(u) == std::bit_cast<std::uint32_t>(v); });
  });
}

}  // namespace

HostRun::HostRun(const ir::Schedule& schedule, const RunOptions& options, Compute& compute, HostSite site)
    : schedule_(schedule),
      options_(checked(options)),
      compute_(compute),
      site_(std::move(site)),
      precision_(require_host_precision(schedule)),
      steps_(steps_of(options)),
      instances_(ir::match_instances(schedule)),
      transport_(site_.make_transport(exchange_shapes(schedule, instances_, options.node_of), instances_)),
      plans_(schedule.ranks.size()),
      arenas_(schedule.ranks.size()),
      bells_(schedule.ranks.size() * RankReplay::lanes),
      replays_(schedule.ranks.size()),
      gate_(site_.ranks.size() * RankReplay::lanes),
      first_logits_(schedule.ranks.size()),
      last_logits_(schedule.ranks.size()) {
  plan();
}

std::vector<HostRun::StepKind> HostRun::steps_of(const RunOptions& options) {
  std::vector<StepKind> steps;
  if (options.keep_logits) steps.push_back(StepKind::first_check);
  for (std::int32_t i = 0; i < options.warm_up_steps; ++i) steps.push_back(StepKind::warm_up);
  for (std::int32_t i = 0; i < options.timed_steps; ++i) steps.push_back(StepKind::timed);
  if (options.keep_logits) steps.push_back(StepKind::last_check);
  return steps;
}

void HostRun::plan() {
  Bytes needed;
  for (const Rank rank : site_.ranks) {
    plans_[rank.index()] = ir::plan_memory(schedule_, rank);
    needed += plans_[rank.index()].peak;
  }
  require_host_capacity(schedule_, needed);
  traces_.resize(static_cast<std::size_t>(options_.timed_steps));
  for (ir::Trace& trace : traces_) {
    trace.ops.resize(schedule_.ranks.size());
    for (const Rank rank : site_.ranks) trace.ops[rank.index()].resize(schedule_.program_of(rank).ops.size());
  }
}

MeasuredRun HostRun::run() {
  running_ = site_.ranks.size() * RankReplay::lanes;
  std::vector<std::jthread> threads;
  threads.reserve(running_);
  try {
    for (const Rank rank : site_.ranks) {
      for (std::size_t lane = 0; lane < RankReplay::lanes; ++lane) threads.emplace_back([this, rank, lane] { thread_main(rank, lane); });
    }
  } catch (const std::system_error& error) {
    stop();
    throw BackendUnavailable(fmt::format("cannot start {} threads: {}; run fewer ranks or raise the limit (ulimit -u)",
                                         site_.ranks.size() * RankReplay::lanes, error.what()));
  }
  watch();
  threads.clear();
  if (failure_) throw *failure_;
  if (trouble_) throw give_up();
  return collect();
}

void HostRun::thread_main(Rank rank, std::size_t lane) {
  try {
    if (lane == 0) prepare(rank);
    if (!run_steps(rank, lane)) stop();
  } catch (const ExecutionError& error) {
    fail(error);
  } catch (const std::exception& error) {
    fail(ExecutionError(fmt::format("rank {}: {}", rank.value, error.what())));
  }
  const std::lock_guard lock(mutex_);
  --running_;
  ended_.notify_all();
}

/// In the rank's own thread, so that ranks fill their memory side by side and near to where it will be used.
void HostRun::prepare(Rank rank) {
  const ir::MemoryPlan& plan = plans_[rank.index()];
  arenas_[rank.index()] = Arena(plan.peak);
  const auto memory = arenas_[rank.index()].memory();
  fill_parameters(schedule_, rank, plan, precision_, options_.seed, memory);
  fill_inputs(schedule_, rank, plan, options_.seed, memory);
  const auto bells = std::span(bells_).subspan(rank.index() * RankReplay::lanes, RankReplay::lanes);
  replays_[rank.index()] =
      std::make_unique<RankReplay>(schedule_, rank, runtime::bind(schedule_, rank, instances_, plan, memory), compute_, *transport_, bells);
}

bool HostRun::run_steps(Rank rank, std::size_t lane) {
  for (std::size_t step = 0; step < steps_.size(); ++step) {
    if (!gate_.pass([this] { open_step(); })) return false;
    if (!replays_[rank.index()]->run_lane(lane, record_of(rank, step), stop_)) return false;
  }
  return true;
}

void HostRun::open_step() {
  for (const Rank rank : site_.ranks) replays_[rank.index()]->reset();
  zero_ = site_.peers.open_step();
}

StepRecord HostRun::record_of(Rank rank, std::size_t step) {
  StepRecord record;
  record.zero = zero_;
  switch (steps_[step]) {
    case StepKind::warm_up: break;
    case StepKind::first_check: record.logits = &first_logits_[rank.index()]; break;
    case StepKind::last_check: record.logits = &last_logits_[rank.index()]; break;
    case StepKind::timed: {
      const auto first_timed = std::find(steps_.begin(), steps_.end(), StepKind::timed) - steps_.begin();
      record.intervals = &traces_[step - static_cast<std::size_t>(first_timed)].ops[rank.index()];
      break;
    }
  }
  return record;
}

void HostRun::fail(ExecutionError error) {
  {
    const std::lock_guard lock(mutex_);
    if (!failure_) failure_ = std::move(error);
  }
  stop();
}

void HostRun::stop() {
  stop_.store(true, std::memory_order_relaxed);
  gate_.close();
  for (Doorbell& bell : bells_) bell.ring();
}

/// Until all threads have ended. A stall is a time in which every thread sleeps and none is woken.
void HostRun::watch() {
  std::unique_lock lock(mutex_);
  std::uint64_t seen = rings();
  auto moved_at = Clock::now();
  while (running_ > 0) {
    ended_.wait_for(lock, watch_interval);
    if (const std::uint64_t now = rings(); now != seen || !nothing_moves()) {
      seen = now;
      moved_at = Clock::now();
    }
    if (trouble_) continue;
    trouble_ = site_.peers.trouble(Seconds(std::chrono::duration<double>(Clock::now() - moved_at).count()));
    if (trouble_) stop();
  }
}

std::uint64_t HostRun::rings() const {
  return std::accumulate(bells_.begin(), bells_.end(), std::uint64_t{0},
                         [](std::uint64_t sum, const Doorbell& bell) { return sum + bell.rings(); });
}

bool HostRun::nothing_moves() const {
  const auto asleep = std::count_if(bells_.begin(), bells_.end(), [](const Doorbell& bell) { return bell.asleep(); });
  return static_cast<std::size_t>(asleep) + gate_.waiting() == running_;
}

/// After all threads have ended: which ops wait, and for whom.
ExecutionError HostRun::give_up() const {
  constexpr std::size_t most_named = 4;
  std::optional<ExecutionError::Place> first;
  std::string waits;
  std::size_t count = 0;
  for (const Rank rank : site_.ranks) {
    if (!replays_[rank.index()]) continue;
    for (const ir::OpIndex op : replays_[rank.index()]->waiting()) {
      if (!first) first = ExecutionError::Place{rank, op};
      if (++count > most_named) continue;
      waits += fmt::format("{}{} waits for {}", waits.empty() ? ": " : "; ", ir::describe(schedule_, rank, op), absent_members({rank, op}));
    }
  }
  if (count > most_named) waits += fmt::format("; and {} more", count - most_named);
  return ExecutionError(*trouble_ + waits, first);
}

std::string HostRun::absent_members(ir::InstanceMember waiting) const {
  std::string absent;
  const ir::InstanceId instance = instances_.at(waiting.rank, waiting.op);
  const auto& members = instances_.all[instance.index()].members;
  for (std::size_t m = 0; m < members.size(); ++m) {
    if (transport_->has_arrived(instance, m)) continue;
    absent += fmt::format("{}{}", absent.empty() ? "rank " : ", ", members[m].rank.value);
  }
  return absent.empty() ? "the others to end" : absent;
}

MeasuredRun HostRun::collect() {
  MeasuredRun run;
  run.machine = this_host();
  std::vector<Seconds> lengths;
  for (const ir::Trace& step : traces_) lengths.push_back(length_of(step));
  run.step_length = spread_of(std::move(lengths));
  run.ops = op_spreads(traces_);
  run.steps = std::move(traces_);
  for (std::size_t i = 0; i < instances_.all.size(); ++i) {
    run.moved.push_back(transport_->moved(ir::InstanceId{static_cast<std::int32_t>(i)}) / static_cast<std::int64_t>(steps_.size()));
  }
  for (const Arena& arena : arenas_) run.arena.push_back(Bytes(static_cast<std::int64_t>(arena.memory().size())));
  run.logits_repeat = options_.keep_logits && std::equal(first_logits_.begin(), first_logits_.end(), last_logits_.begin(), same_bits);
  for (auto& shards : first_logits_) std::move(shards.begin(), shards.end(), std::back_inserter(run.logits));
  run.instances = std::move(instances_);
  return run;
}

}  // namespace fabricast::runtime
