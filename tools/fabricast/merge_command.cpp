#include <vector>

#include "tools/fabricast/commands.hpp"
#include "tools/fabricast/output.hpp"
#include "validation/measured_trace.hpp"

namespace fabricast::tools {

namespace {

class MergeCommand final : public Command {
 public:
  explicit MergeCommand(Syntax& syntax) {
    syntax.arguments("traces", traces_, "Measured traces of one run (execute --measured, fabricast-worker --measured)");
    syntax.option("--out", out_, "Where the merged trace goes; - is standard output", "FILE");
    syntax.example(
        "Example: one trace of a run whose ranks wrote theirs side by side\n"
        "  fabricast merge trace.rank*.jsonl --out trace.jsonl");
  }

  [[nodiscard]] ExitCode run() const override {
    Output out(out_);
    std::vector<validation::MeasuredTrace> parts;
    for (const std::string& path : traces_) parts.push_back(validation::read_measured_trace(path));
    validation::write_measured_trace(validation::merge(parts), out.stream());
    out.commit();
    return ExitCode::success;
  }

 private:
  std::vector<std::string> traces_;
  std::string out_ = "-";
};

}  // namespace

std::unique_ptr<Command> make_merge_command(Syntax& syntax) { return std::make_unique<MergeCommand>(syntax); }

}  // namespace fabricast::tools
