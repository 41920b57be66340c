#include <optional>

#include "tools/fabricast/commands.hpp"
#include "tools/fabricast/options.hpp"
#include "tools/fabricast/output.hpp"
#include "validation/audit.hpp"
#include "validation/claims.hpp"

namespace fabricast::tools {

namespace {

class AuditCommand final : public Command {
 public:
  explicit AuditCommand(Syntax& syntax);
  [[nodiscard]] ExitCode run() const override;

 private:
  CommonOptions common_;
  std::optional<std::string> markdown_;
  std::string claims_;
};

AuditCommand::AuditCommand(Syntax& syntax) {
  syntax.argument("claims", claims_, "Claims file");
  syntax.option("--markdown", markdown_, "Write the verdicts and all arithmetic as Markdown; - is standard output", "FILE");
  common_.declare(syntax);
  syntax.example(
      "Example: what the guide promises of EP64_TP2, each figure with a verdict; exit code 1 where one is refuted\n"
      "  fabricast audit configs/claims/ep64_tp2_guide.json --markdown audit.md");
}

ExitCode AuditCommand::run() const {
  const validation::ClaimSet claims = validation::load_claims(claims_);
  std::optional<Output> json, markdown;
  if (common_.json) json.emplace(*common_.json);
  if (markdown_) markdown.emplace(*markdown_);
  const validation::Audit audit = validation::audit(claims, common_.sets);
  if (json) {
    json->stream() << validation::to_json(audit);
    json->commit();
  }
  if (markdown) {
    markdown->stream() << validation::to_markdown(audit);
    markdown->commit();
  }
  const bool standard_output_taken = markdown_ && Output::is_standard_output(*markdown_);
  if (common_.prints_summary() && !standard_output_taken) print(validation::summary(audit, {colour_on_standard_output()}));
  return audit.refutes_any() ? ExitCode::answer_is_no : ExitCode::success;
}

}  // namespace

std::unique_ptr<Command> make_audit_command(Syntax& syntax) { return std::make_unique<AuditCommand>(syntax); }

}  // namespace fabricast::tools
