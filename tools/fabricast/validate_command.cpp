#include <iostream>
#include <limits>
#include <optional>

#include "tools/fabricast/commands.hpp"
#include "tools/fabricast/options.hpp"
#include "tools/fabricast/output.hpp"
#include "validation/agreement.hpp"
#include "validation/judge.hpp"

namespace fabricast::tools {

namespace {

class ValidateCommand final : public Command {
 public:
  explicit ValidateCommand(Syntax& syntax);
  [[nodiscard]] ExitCode run() const override;

 private:
  std::vector<std::string> sets_, kinds_;
  std::optional<std::string> gpu_, json_, csv_;
  std::string configs_ = "configs", system_;
  bool rows_ = false, quiet_ = false;
};

ValidateCommand::ValidateCommand(Syntax& syntax) {
  syntax.arguments("sets", sets_, "Measurements, published tables, or directories of them", "FILE|DIR");
  syntax.option("--gpu", gpu_, "Profile for all rows, whatever system they name", "FILE");
  syntax.option("--configs", configs_, "Folder with the profiles of the systems that tables name", "DIR");
  syntax.option("--system", system_, "Judge this system's rows only, such as h100_sxm", "NAME");
  syntax.option("--kind", kinds_, "Judge kinds that contain this text, such as 'gemm bf16'; repeatable", "TEXT");
  syntax.flag("--rows", rows_, "Print every row too");
  syntax.option("--json", json_, "Write rows and summary as JSON; - is standard output (then without the table)", "FILE");
  syntax.option("--csv", csv_, "Write every row as CSV", "FILE");
  syntax.flag("-q,--quiet", quiet_, "Print no table");
  syntax.example(
      "Example: how far the model is from published GEMM times\n"
      "  fabricast validate validation/published --kind gemm");
}

void write(const std::optional<std::string>& path, const std::string& text) {
  if (!path) return;
  Output file(*path);
  file.stream() << text;
  file.commit();
}

ExitCode ValidateCommand::run() const {
  validation::JudgeOptions options;
  options.configs = configs_;
  if (gpu_) options.gpu = *gpu_;
  options.system = system_;
  options.kinds = kinds_;
  std::vector<std::string> notes;
  const std::vector<validation::Measurements> sets = validation::read_sets(sets_, notes);
  const validation::Agreement result = validation::agreement(validation::judge(sets, options, notes));
  for (const std::string& note : notes) std::cerr << "fabricast: " << note << '\n';
  write(csv_, validation::to_csv(result));
  write(json_, validation::to_json(result));
  if (!quiet_ && !(json_ && Output::is_standard_output(*json_))) {
    if (rows_) print(validation::agreement_rows(result, std::numeric_limits<std::size_t>::max()) + '\n');
    print(validation::agreement_table(result));
  }
  return ExitCode::success;
}

}  // namespace

std::unique_ptr<Command> make_validate_command(Syntax& syntax) { return std::make_unique<ValidateCommand>(syntax); }

}  // namespace fabricast::tools
