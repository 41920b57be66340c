// Jobs that a device must run as the plan says, all ranks on one: every strategy, every kernel. Knows no device.
#pragma once

#include <string>
#include <vector>

#include "runtime/executor.hpp"
#include "tests/runtime/tiny.hpp"

namespace fabricast::tests {

struct NamedJob {
  std::string name;
  Job job;
};

[[nodiscard]] std::vector<NamedJob> strategy_jobs();   // at most 16 ranks
[[nodiscard]] std::vector<NamedJob> model_jobs();      // at most 8 ranks
[[nodiscard]] Job ep64_tp2();                          // 128 ranks

[[nodiscard]] std::vector<NodeId> nodes_of(const Job& job, const ir::Schedule& schedule);

/// Numbers, order, bytes and memory. Returns the run.
runtime::MeasuredRun run_and_check(runtime::Executor& executor, const Job& job);

}  // namespace fabricast::tests
