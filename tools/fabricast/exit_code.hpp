// What the process tells its caller. Knows nothing else.
#pragma once

namespace fabricast::tools {

enum class ExitCode : int {
  success = 0,
  answer_is_no = 1,     // does not fit although it must, a claim refuted, a prediction worse, numbers wrong, a run broken off
  input_at_fault = 2,
  internal_error = 3,   // something that this program should have prevented
};

}  // namespace fabricast::tools
