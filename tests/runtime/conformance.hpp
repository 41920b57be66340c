// What must hold of every execution of every schedule, whatever the backend: numbers, order, bytes, memory. Knows no backend.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "runtime/compute.hpp"
#include "runtime/executor.hpp"

namespace fabricast::tests {

/// How often each op was computed, by rank and op. Filled by CountingCompute.
using RunCounts = std::vector<std::vector<std::atomic<int>>>;
[[nodiscard]] RunCounts no_runs(const ir::Schedule& schedule);

/// Another backend's work, counted.
class CountingCompute final : public runtime::Compute {
 public:
  CountingCompute(std::unique_ptr<runtime::Compute> inner, RunCounts& counts) : inner_(std::move(inner)), counts_(counts) {}
  void run(const runtime::BoundOp& op) override {
    ++counts_[op.rank.index()][op.index.index()];
    inner_->run(op);
  }

 private:
  std::unique_ptr<runtime::Compute> inner_;
  RunCounts& counts_;
};

/// Each computation ran once a step, communication never.
void check_counts(const ir::Schedule& schedule, const RunCounts& counts, int steps);

/// Every op has one interval with issued <= start <= end; nothing starts before what it waits for has ended; a collective starts when the
/// last member has come, and for all members at once.
void check_order(const ir::Schedule& schedule, const ir::Instances& instances, const ir::Trace& trace);

/// Each instance moved what its lowering into transfers moves. node_of as in RunOptions.
void check_bytes(const ir::Schedule& schedule, const runtime::MeasuredRun& run, const std::vector<NodeId>& node_of = {});

/// Each rank allocated what plan_memory says.
void check_memory(const ir::Schedule& schedule, const runtime::MeasuredRun& run);

}  // namespace fabricast::tests
