#include "runtime/rank_replay.hpp"

#include <algorithm>
#include <cassert>
#include <span>

#include "runtime/matrix.hpp"
#include "strategies/ir/validate.hpp"

namespace fabricast::runtime {
namespace {

constexpr std::int64_t picoseconds_per_nanosecond = 1000;

SimTime since(Clock::time_point zero, Clock::time_point now) {
  return SimTime(std::chrono::duration_cast<std::chrono::nanoseconds>(now - zero).count() * picoseconds_per_nanosecond);
}

std::size_t lane_of(ir::StreamId stream) { return stream == ir::compute_stream ? 0 : 1; }

hw::Precision precision_of_head(const ir::Work& work) {
  const auto* gemm = std::get_if<hw::Gemm<ir::Extent>>(&work);
  require(gemm != nullptr, "logits are written by a matrix product");
  return gemm->precision;
}

}  // namespace

RankReplay::RankReplay(const ir::Schedule& schedule, Rank rank, std::vector<BoundOp> ops, Compute& compute, Transport& transport,
                       std::span<Doorbell> bells)
    : schedule_(schedule),
      rank_(rank),
      ops_(std::move(ops)),
      streams_(std::max<std::size_t>(schedule.program_of(rank).streams.size(), 1)),
      bells_(bells),
      compute_(compute),
      transport_(transport) {
  assert(bells.size() == lanes && "a bell for each lane");
  for (const BoundOp& op : ops_) {
    auto& queue = streams_[op.op->stream.index()].ops;
    places_.push_back(static_cast<std::int32_t>(queue.size()));
    queue.push_back(op.index);
  }
  wakes_other_lane_.resize(ops_.size());
  for (const BoundOp& op : ops_) {
    for (const ir::OpIndex earlier : op.op->after) {
      if (lane_of(ops_[earlier.index()].op->stream) != lane_of(op.op->stream)) wakes_other_lane_[earlier.index()] = true;
    }
  }
}

void RankReplay::reset() {
  for (Stream& stream : streams_) {
    stream.ended.store(0, std::memory_order_relaxed);
    stream.is_issued = false;
  }
}

bool RankReplay::run_lane(std::size_t lane, const StepRecord& record, const std::atomic<bool>& stop) {
  const auto own = lane == 0 ? std::span(streams_).first(1) : std::span(streams_).subspan(1);
  const auto unfinished = [](const Stream& s) { return s.ended.load(std::memory_order_relaxed) < static_cast<std::int32_t>(s.ops.size()); };
  while (std::any_of(own.begin(), own.end(), unfinished)) {
    const std::uint32_t seen = bells_[lane].rings();
    if (stop.load(std::memory_order_relaxed)) return false;
    bool moved = false;
    for (Stream& stream : own) moved = (unfinished(stream) && advance(stream, lane, record)) || moved;
    if (!moved) bells_[lane].wait(seen);
  }
  return true;
}

bool RankReplay::may_start(const ir::Op& op) const {
  return std::all_of(op.after.begin(), op.after.end(), [&](ir::OpIndex earlier) {
    const Stream& theirs = streams_[ops_[earlier.index()].op->stream.index()];
    return theirs.ended.load(std::memory_order_acquire) > places_[earlier.index()];
  });
}

/// Issues the stream's next op, or gets it further. False where it has to wait.
bool RankReplay::advance(Stream& stream, std::size_t lane, const StepRecord& record) {
  const ir::OpIndex index = stream.ops[static_cast<std::size_t>(stream.ended.load(std::memory_order_relaxed))];
  const BoundOp& op = ops_[index.index()];
  try {
    if (!stream.is_issued) {
      if (!may_start(*op.op)) return false;
      stream.is_issued = true;
      stream.interval.issued = since(record.zero, Clock::now());
      if (!op.exchange) {
        compute(op, stream, record);
        end(op, stream, lane, record);
        return true;
      }
      transport_.arrive(*op.exchange, bells_[lane]);
    }
    const auto started = transport_.advance(*op.exchange);
    if (!started) return false;
    stream.interval.start = std::max(stream.interval.issued, since(record.zero, *started));
    end(op, stream, lane, record);
    return true;
  } catch (const std::exception& error) {
    throw ExecutionError(ir::describe(schedule_, rank_, index) + ": " + error.what(), ExecutionError::Place{rank_, index});
  }
}

void RankReplay::compute(const BoundOp& op, Stream& stream, const StepRecord& record) {
  stream.interval.start = stream.interval.issued;
  compute_.run(op);
  if (record.logits && op.writes_logits) keep_logits(op, *record.logits);
}

void RankReplay::end(const BoundOp& op, Stream& stream, std::size_t lane, const StepRecord& record) {
  stream.interval.end = since(record.zero, Clock::now());
  if (record.intervals) (*record.intervals)[op.index.index()] = stream.interval;
  stream.is_issued = false;
  stream.ended.fetch_add(1, std::memory_order_release);
  if (wakes_other_lane_[op.index.index()]) bells_[1 - lane].ring();
}

void RankReplay::keep_logits(const BoundOp& op, std::vector<LogitsShard>& logits) const {
  with_element(precision_of_head(op.op->work), [&](auto element) {
    const auto values = as_matrix<decltype(element)>(op.writes.at(0));
    LogitsShard& shard = logits.emplace_back();
    shard.rank = rank_;
    shard.micro_batch = op.op->step.micro_batch;
    shard.rows = values.rows;
    shard.columns = values.columns;
    shard.values.resize(static_cast<std::size_t>(values.rows * values.columns));
    for (std::size_t i = 0; i < shard.values.size(); ++i) shard.values[i] = to_float(values.data[i]);
  });
}

std::vector<ir::OpIndex> RankReplay::waiting() const {
  std::vector<ir::OpIndex> result;
  for (const Stream& stream : streams_) {
    if (stream.is_issued) result.push_back(stream.ops[static_cast<std::size_t>(stream.ended.load(std::memory_order_relaxed))]);
  }
  return result;
}

}  // namespace fabricast::runtime
