// A job in which one rank goes wrong, as asked for: `throws` fails at an op, `mismatch` brings other sizes to a collective than the rest. Ends
// as the worker does: one line by the rank that knows, then the whole job. fault_test.sh watches it.
#include <iostream>
#include <memory>
#include <string>

#include "runtime/host_compute.hpp"
#include "runtime/mpi/mpi_executor.hpp"
#include "tests/runtime/tiny.hpp"

using namespace fabricast;
using namespace fabricast::tests;

namespace {

constexpr Rank at_fault{1};

class FailingCompute final : public runtime::Compute {
 public:
  explicit FailingCompute(ir::OpIndex op) : op_(op) {}
  void run(const runtime::BoundOp& op) override {
    if (op.rank == at_fault && op.index == op_) throw std::runtime_error("the lights went out");
    inner_.run(op);
  }

 private:
  ir::OpIndex op_;
  runtime::HostCompute inner_;
};

ir::OpIndex find_op(const ir::Schedule& schedule, const std::string& label) {
  const auto& ops = schedule.programs[0].ops;
  std::size_t i = 0;
  while (schedule.label(ops.at(i).label) != label) ++i;
  return ir::OpIndex{static_cast<std::int32_t>(i)};
}

void let_one_mean_other_sizes(ir::Schedule& schedule) {
  const ir::OpIndex op = find_op(schedule, "attention_all_gather");
  schedule.programs.push_back(schedule.programs[0]);
  std::get<ir::Collective>(schedule.programs[1].ops[op.index()].work).shard.scale -= 1;
  schedule.programs[1].ops[op.index()].reads[0].rows = ir::Extent::constant(1);
  schedule.ranks[at_fault.index()].program = ir::ProgramId{1};
}

}  // namespace

int main(int argc, char** argv) {
  const std::string fault = argc > 1 ? argv[1] : "throws";
  const auto world = std::make_unique<runtime::MpiWorld>();
  Job job;
  job.gpus = world->size();
  job.strategy.tensor = 2;
  ir::Schedule schedule = schedule_of(job);
  if (fault == "mismatch") let_one_mean_other_sizes(schedule);
  std::unique_ptr<runtime::Compute> compute = std::make_unique<runtime::HostCompute>();
  if (fault == "throws") compute = std::make_unique<FailingCompute>(find_op(schedule, "router"));
  try {
    (void)runtime::MpiExecutor(*world, std::move(compute)).run(schedule, {});
  } catch (const std::exception& error) {
    std::cerr << std::string("mpi_faults: ") + error.what() + "\n";
    runtime::MpiWorld::abort(1);
  }
  return 0;
}
