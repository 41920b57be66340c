#include "strategies/ir/trace.hpp"

#include <utility>

namespace fabricast::ir {

Trace of_each_rank(Trace trace) {
  if (trace.row_of.empty()) return trace;
  Trace result;
  for (const std::int32_t row : trace.row_of) result.ops.push_back(trace.ops[static_cast<std::size_t>(row)]);
  return result;
}

}  // namespace fabricast::ir
