#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "validation/audit.hpp"

namespace fabricast::validation {

namespace {

constexpr std::array<Verdict, 4> verdicts{Verdict::contradicts_itself, Verdict::does_not_hold, Verdict::cannot_be_judged, Verdict::holds};

std::string words(Verdict verdict) {
  std::string text(name_of(verdict));
  std::replace(text.begin(), text.end(), '_', ' ');
  return text;
}

std::string claimed(const Claim& claim) {
  const std::string value = show_as(claim.format, claim.claimed, claim.unit);
  switch (claim.relation) {
    case Relation::equals:
      return value;
    case Relation::less:
      return "< " + value;
    case Relation::at_most:
      return "<= " + value;
    case Relation::more:
      return "> " + value;
    case Relation::at_least:
      return ">= " + value;
    case Relation::between:
      return fmt::format("{} to {}", value, show_as(claim.format, claim.claimed_to, claim.unit));
  }
  return value;
}

std::string counts(const Audit& audit) {
  std::vector<std::string> parts;
  for (const Verdict verdict : verdicts) {
    const auto count =
        std::count_if(audit.claims.begin(), audit.claims.end(), [&](const auto& judged) { return judged.verdict == verdict; });
    if (count > 0) parts.push_back(fmt::format("{} {}", count, words(verdict)));
  }
  return fmt::format("{} claims: {}", audit.claims.size(), fmt::join(parts, ", "));
}

std::string model_of(const JudgedClaim& judged) {
  return judged.model.empty() ? "" : show_as(judged.claim.format, judged.model.front().value, judged.claim.unit);
}

std::string of_case(const PredictedCase& one) {
  return fmt::format("{}{}{}", one.experiment, one.sets.empty() ? "" : ", ", fmt::join(one.sets, ", "));
}

/// "| " and a line break would end a cell.
std::string cell(std::string text) {
  for (std::size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2) text.insert(at, 1, '\\');
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

std::string reasons(const JudgedClaim& judged) {
  std::string text = judged.why;
  for (const std::string& need : judged.needs) text += fmt::format(" To be true: {}.", need);
  return text;
}

std::string readings_of(const JudgedClaim& judged) {
  std::string out;
  const auto add = [&](const std::vector<JudgedReading>& readings, std::string_view whose, std::string_view no) {
    for (const JudgedReading& reading : readings) {
      out += fmt::format("  - {} {}: {}, `{}` = `{}` = {}\n", whose, reading.agrees ? "agrees" : no, reading.what, reading.expression,
                         reading.arithmetic, show_as(judged.claim.format, reading.value, judged.claim.unit));
    }
  };
  add(judged.own, "its own arithmetic", "disagrees");
  add(judged.model, "the model", "disagrees");
  return out;
}

}  // namespace

std::string summary(const Audit& audit, TextStyle style) {
  std::string out = style.strong(fmt::format("{}: {}", audit.name, counts(audit))) + "\n\n";
  for (const Verdict verdict : verdicts) {
    for (const JudgedClaim& judged : audit.claims) {
      if (judged.verdict != verdict) continue;
      const std::string model = model_of(judged);
      out += style.strong(fmt::format("{:<18}  {}", words(verdict), judged.claim.id)) +
             fmt::format("  claimed {}{}\n", claimed(judged.claim), model.empty() ? "" : ", model " + model);
      out += wrap(fmt::format("\"{}\" ({})", judged.claim.statement, judged.claim.place), 4);
      out += wrap(reasons(judged), 4);
    }
  }
  out += '\n' + style.strong("Cases") + '\n';
  Table table({{"case", Table::Align::left}, {"tokens/s"}, {"step"}, {"MFU"}, {"at its best", Table::Align::left}});
  for (const PredictedCase& one : audit.cases) {
    const Report& r = one.report;
    table.add({one.name, show_count(r.tokens_per_second), show(r.step), show_share(r.mfu), one.setting});
  }
  return out + table.text();
}

std::string to_markdown(const Audit& audit) {
  std::string out = fmt::format("# Audit of {}\n\n{}\n\n{}.\n\n", audit.name, audit.source, counts(audit));
  out += "| claim | claimed | model | verdict | why |\n|---|---:|---:|---|---|\n";
  for (const JudgedClaim& judged : audit.claims) {
    out += fmt::format("| {} | {} | {} | {} | {} |\n", cell(judged.claim.statement), cell(claimed(judged.claim)), cell(model_of(judged)),
                       words(judged.verdict), cell(reasons(judged)));
  }
  out += "\n## Cases\n\n| case | tokens/s | step | MFU | experiment |\n|---|---:|---:|---:|---|\n";
  for (const PredictedCase& one : audit.cases) {
    const Report& r = one.report;
    out += fmt::format("| {} | {} | {} | {} | {} |\n", one.name, show_count(r.tokens_per_second), show(r.step), show_share(r.mfu),
                       cell(of_case(one)));
  }
  out += "\n## Arithmetic\n\n";
  for (const JudgedClaim& judged : audit.claims) {
    out += fmt::format("- `{}` \"{}\" ({})\n{}", judged.claim.id, judged.claim.statement, judged.claim.place, readings_of(judged));
  }
  return out;
}

}  // namespace fabricast::validation
