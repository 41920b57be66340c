// Jobs that a backend must run as the plan says: every strategy, every kernel. Knows no backend.
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

/// tensor · pipeline · data ranks in one node unless said otherwise.
[[nodiscard]] Job job_on(std::int64_t gpus, std::int64_t tensor = 1, std::int64_t expert = 1);

[[nodiscard]] std::vector<NodeId> nodes_of(const Job& job, const ir::Schedule& schedule);

/// One timed step, and numbers, order, bytes and memory checked. Returns the run.
runtime::MeasuredRun run_and_check(runtime::Executor& executor, const Job& job, const ir::Schedule& schedule);
runtime::MeasuredRun run_and_check(runtime::Executor& executor, const Job& job);

}  // namespace fabricast::tests
