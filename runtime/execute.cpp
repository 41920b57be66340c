#include "runtime/execute.hpp"

#include <memory>
#include <stdexcept>

#include "runtime/host_executor.hpp"

namespace fabricast::runtime {
namespace {

std::unique_ptr<Executor> make_executor(Backend backend) {
  switch (backend) {
    case Backend::host: return std::make_unique<HostExecutor>();
  }
  throw std::invalid_argument("unknown backend");
}

}  // namespace

Execution execute(const ir::Schedule& schedule, ExecuteOptions options) {
  options.run.keep_logits = options.problem.has_value();
  Execution result{make_executor(options.backend)->run(schedule, options.run), {}};
  if (options.problem) result.numerics = check_numerics(schedule, result.run, *options.problem, options.run.seed);
  return result;
}

}  // namespace fabricast::runtime
