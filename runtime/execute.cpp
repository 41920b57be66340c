#include "runtime/execute.hpp"

namespace fabricast::runtime {

Execution execute(const ir::Schedule& schedule, Executor& executor, ExecuteOptions options) {
  options.run.keep_logits = options.problem.has_value();
  Execution result{executor.run(schedule, options.run), {}};
  if (options.problem) result.numerics = check_numerics(schedule, result.run, *options.problem, options.run.seed);
  return result;
}

}  // namespace fabricast::runtime
