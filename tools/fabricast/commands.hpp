// The commands, one file each. Knows no exit path but their answers.
#pragma once

#include <memory>

#include "tools/fabricast/command_line.hpp"

namespace fabricast::tools {

[[nodiscard]] std::unique_ptr<Command> make_simulate_command(Syntax& syntax);
[[nodiscard]] std::unique_ptr<Command> make_compare_command(Syntax& syntax);
[[nodiscard]] std::unique_ptr<Command> make_describe_command(Syntax& syntax);
[[nodiscard]] std::unique_ptr<Command> make_sweep_command(Syntax& syntax);
[[nodiscard]] std::unique_ptr<Command> make_search_command(Syntax& syntax);
[[nodiscard]] std::unique_ptr<Command> make_calibrate_command(Syntax& syntax);
[[nodiscard]] std::unique_ptr<Command> make_validate_command(Syntax& syntax);
[[nodiscard]] std::unique_ptr<Command> make_import_command(Syntax& syntax);
[[nodiscard]] std::unique_ptr<Command> make_bench_collective_command(Syntax& syntax);
[[nodiscard]] std::unique_ptr<Command> make_audit_command(Syntax& syntax);
[[nodiscard]] std::unique_ptr<Command> make_check_command(Syntax& syntax);
[[nodiscard]] std::unique_ptr<Command> make_execute_command(Syntax& syntax);
[[nodiscard]] std::unique_ptr<Command> make_merge_command(Syntax& syntax);

}  // namespace fabricast::tools
