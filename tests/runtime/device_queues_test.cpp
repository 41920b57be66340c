// What a backend of device queues is built of: issue order, communicators, progress of a step, time stamps to a trace, tables, messages.
#include <doctest/doctest.h>

#include <map>
#include <set>

#include "runtime/communicators.hpp"
#include "runtime/cuda/launch_shape.hpp"
#include "runtime/device_trace.hpp"
#include "runtime/issue_order.hpp"
#include "runtime/packing.hpp"
#include "runtime/step_progress.hpp"
#include "runtime/upload_plan.hpp"
#include "tests/runtime/tiny.hpp"

namespace fabricast::device_queues_test {

using namespace fabricast;
using namespace fabricast::runtime;
using namespace fabricast::tests;

namespace {

Rank rank_of(std::size_t index) { return Rank{static_cast<std::int32_t>(index)}; }

ir::Schedule pipeline_schedule() {
  Job job;
  job.gpus = 8;
  job.strategy.tensor = 2;
  job.strategy.expert = 2;
  job.strategy.pipeline = 2;
  job.strategy.overlap_chunks = 2;
  job.workload.micro_batches = 2;
  return schedule_of(job);
}

std::vector<Rank> all_ranks(const ir::Schedule& schedule) {
  std::vector<Rank> all;
  for (std::size_t r = 0; r < schedule.ranks.size(); ++r) all.push_back(rank_of(r));
  return all;
}

const ir::Op& op_of(const ir::Schedule& schedule, ir::InstanceMember m) { return schedule.program_of(m.rank).ops[m.op.index()]; }

using Key = std::pair<std::int32_t, std::int32_t>;
Key key_of(ir::InstanceMember m) { return {m.rank.value, m.op.value}; }

}  // namespace

TEST_CASE("issue order: every op once, after what it waits for, streams in order, a communication with all its members") {
  const ir::Schedule schedule = pipeline_schedule();
  const ir::Instances instances = ir::match_instances(schedule);
  std::set<Key> issued;
  std::map<std::pair<std::int32_t, std::int32_t>, std::int32_t> last;   // op, by rank and stream
  for (const IssueUnit& unit : issue_order(schedule, instances, all_ranks(schedule))) {
    for (const ir::InstanceMember m : unit.members) {
      const ir::Op& op = op_of(schedule, m);
      for (const ir::OpIndex earlier : op.after) CHECK(issued.count({m.rank.value, earlier.value}) == 1);
      const auto [place, is_first] = last.emplace(std::pair(m.rank.value, op.stream.value), m.op.value);
      if (!is_first) CHECK(place->second < m.op.value);
      place->second = m.op.value;
      if (!ir::communicates(op.work)) CHECK(unit.members.size() == 1);
      if (ir::communicates(op.work)) CHECK(unit.members.size() == instances.all[instances.at(m.rank, m.op).index()].members.size());
    }
    for (const ir::InstanceMember m : unit.members) CHECK(issued.insert(key_of(m)).second);
  }
  std::size_t ops = 0;
  for (const Rank rank : all_ranks(schedule)) ops += schedule.program_of(rank).ops.size();
  CHECK(issued.size() == ops);
}

TEST_CASE("issue order of one rank is its program's") {
  const ir::Schedule schedule = pipeline_schedule();
  const std::vector<Rank> one{Rank{5}};
  const auto units = issue_order(schedule, ir::match_instances(schedule), one);
  REQUIRE(units.size() == schedule.program_of(Rank{5}).ops.size());
  for (std::size_t i = 0; i < units.size(); ++i) CHECK(key_of(units[i].members.at(0)) == Key{5, static_cast<std::int32_t>(i)});
}

TEST_CASE("communicators: one for each group and stream and each direction between stages, with the instances' own members") {
  const ir::Schedule schedule = pipeline_schedule();
  const ir::Instances instances = ir::match_instances(schedule);
  const Communicators plan = plan_communicators(schedule, instances);
  REQUIRE(plan.of.size() == instances.all.size());
  std::map<std::int32_t, std::set<std::int32_t>> streams;
  for (std::size_t i = 0; i < instances.all.size(); ++i) {
    std::vector<Rank> members;
    for (const ir::InstanceMember& m : instances.all[i].members) members.push_back(m.rank);
    CHECK(members == plan.members.at(static_cast<std::size_t>(plan.of[i])));
    const ir::Op& op = op_of(schedule, instances.all[i].members.front());
    if (!std::holds_alternative<ir::Send>(op.work)) streams[plan.of[i]].insert(op.stream.value);
  }
  for (const auto& [communicator, used] : streams) CHECK(used.size() == 1);
}

TEST_CASE("progress: an op counts as ended when its queue says so and all before it on the stream have") {
  const ir::Schedule schedule = pipeline_schedule();
  const auto units = issue_order(schedule, ir::match_instances(schedule), all_ranks(schedule));
  StepProgress progress(schedule, units);
  for (int step = 0; step < 2; ++step) {
    progress.begin_step();
    CHECK_FALSE(progress.all_ended());
    progress.advance([](auto) { return true; });
    CHECK(progress.under_way().empty());               // nothing was issued
    for (std::size_t i = 0; i < units.size(); ++i) progress.issued();
    CHECK(progress.is_computing());                    // every rank's, or the first stage's, first op
    progress.advance([&](ir::InstanceMember m) { return !ir::communicates(op_of(schedule, m).work); });
    CHECK_FALSE(progress.is_computing());              // what is left to compute waits for communication
    CHECK_FALSE(progress.under_way().empty());
    progress.advance([](auto) { return true; });
    CHECK(progress.all_ended());
    CHECK(progress.under_way().empty());
  }
  std::size_t ops = 0;
  for (const IssueUnit& unit : units) ops += unit.members.size();
  CHECK(progress.moves() == 2 * (units.size() + ops));
}

TEST_CASE("trace: an op is issued when stream and edges have ended, and a collective starts when the last member came") {
  Job job;
  job.gpus = 2;
  job.strategy.tensor = 2;
  const ir::Schedule schedule = schedule_of(job);
  const auto units = issue_order(schedule, ir::match_instances(schedule), all_ranks(schedule));
  // Each op of rank r takes 10 and is reached r + 1 after the one before it ended; of communication rank 1 is the late one.
  std::vector<std::vector<OpStamps>> stamps(2);
  for (std::size_t r = 0; r < 2; ++r) {
    std::int64_t now = 0;
    for (std::size_t i = 0; i < schedule.program_of(rank_of(r)).ops.size(); ++i) {
      const std::int64_t reached = now + static_cast<std::int64_t>(r) + 1;
      stamps[r].push_back({SimTime(reached), SimTime(now = reached + 10)});
    }
  }
  const ir::Trace trace = assemble_trace(schedule, units, stamps);
  for (std::size_t i = 0; i < stamps[0].size(); ++i) {
    const ir::OpIndex op{static_cast<std::int32_t>(i)};
    const ir::Op& what = schedule.program_of(Rank{0}).ops[i];
    const SimTime late = std::max(stamps[0][i].reached, stamps[1][i].reached);
    if (ir::communicates(what.work)) CHECK(trace.at(Rank{0}, op).start >= late);
    CHECK(trace.at(Rank{0}, op).start >= trace.at(Rank{0}, op).issued);
    CHECK(trace.at(Rank{0}, op).end >= stamps[0][i].done);
    for (const ir::OpIndex earlier : what.after) CHECK(trace.at(Rank{0}, op).issued >= trace.at(Rank{0}, earlier).end);
  }
}

TEST_CASE("tables lie at multiples of 16 bytes, whole, one after the other") {
  UploadPlan uploads;
  const std::vector<std::int32_t> a{1, 2, 3, 4, 5};
  const std::vector<double> b{1.5};
  CHECK(uploads.add(std::span(a)) == 0);
  CHECK(uploads.add(std::span<const std::int32_t>()) == 32);
  const std::size_t at = uploads.add(std::span(b));
  CHECK(at == 32);
  double back = 0;
  std::memcpy(&back, uploads.bytes().data() + at, sizeof back);
  CHECK(back == 1.5);
  CHECK(uploads.bytes().size() == 40);
}

TEST_CASE("launches: whole warps up to 256 threads, wide access only where size and addresses allow, grids that CUDA takes") {
  CHECK(cuda::threads_for(1) == 32);
  CHECK(cuda::threads_for(33) == 64);
  CHECK(cuda::threads_for(100000) == 256);
  CHECK(cuda::fits_packs(32, {reinterpret_cast<void*>(0x100)}));
  CHECK_FALSE(cuda::fits_packs(36, {reinterpret_cast<void*>(0x100)}));
  CHECK_FALSE(cuda::fits_packs(32, {reinterpret_cast<void*>(0x100), reinterpret_cast<void*>(0x108)}));
  CHECK(cuda::grid_of(cuda::most_blocks) == 2147483647U);
  CHECK_THROWS_AS((void)cuda::grid_of(cuda::most_blocks + 1), std::invalid_argument);
  CHECK(cuda::alignment_of(reinterpret_cast<void*>(0x1000)) == 256);
  CHECK(cuda::alignment_of(reinterpret_cast<void*>(0x1010)) == 16);
}

TEST_CASE("messages read back as they were written, and a short one is refused") {
  Packer out;
  out.put(std::int64_t{7});
  pack_logits({{Rank{3}, 1, 2, 2, {1.0F, 2.0F, 3.0F, 4.0F}}}, out);
  Unpacker in(out.bytes());
  CHECK(in.get<std::int64_t>() == 7);
  std::vector<LogitsShard> logits;
  unpack_logits(in, Rank{3}, logits);
  REQUIRE(logits.size() == 1);
  CHECK(logits[0].rank == Rank{3});
  CHECK(logits[0].values == std::vector<float>{1.0F, 2.0F, 3.0F, 4.0F});
  CHECK_THROWS_AS((void)in.get<char>(), std::runtime_error);
}

}  // namespace fabricast::device_queues_test
