#include "tools/fabricast/slice_output.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "validation/machine_json.hpp"
#include "validation/text.hpp"

namespace fabricast::tools {

namespace {

struct Line {
  ir::LabelId label;
  bool communicates;
  std::vector<runtime::Spread> ops;
};

std::vector<Line> lines_of(const ir::Schedule& schedule, Rank rank, const runtime::MeasuredRun& run) {
  std::vector<Line> lines;
  const auto& ops = schedule.program_of(rank).ops;
  for (std::size_t i = 0; i < ops.size(); ++i) {
    const auto known = std::find_if(lines.begin(), lines.end(), [&](const Line& line) { return line.label == ops[i].label; });
    Line& line = known == lines.end() ? lines.emplace_back(Line{ops[i].label, ir::communicates(ops[i].work), {}}) : *known;
    line.ops.push_back(run.ops[rank.index()][i]);
  }
  return lines;
}

std::vector<std::string> cells_of(const ir::Schedule& schedule, Line line) {
  std::sort(line.ops.begin(), line.ops.end(), [](const auto& a, const auto& b) { return a.median < b.median; });
  Seconds sum;
  for (const runtime::Spread& op : line.ops) sum += op.median;
  const runtime::Spread& middle = line.ops[(line.ops.size() - 1) / 2];
  using validation::show;
  return {schedule.label(line.label), std::to_string(line.ops.size()), show(middle.median), show(middle.p10), show(middle.p90), show(sum),
          line.communicates ? "stand-in" : ""};
}

}  // namespace

std::string slice_table(const std::string& experiment, const ir::Schedule& schedule, Rank rank, const runtime::MeasuredRun& run) {
  using validation::show;
  const runtime::Spread& step = run.step_length;
  std::string text = fmt::format("rank {} of {}, alone on {}{}: {} timed steps, median {} (p10 {}, p90 {})\n\n", rank.value, experiment,
                                 run.machine.device, validation::attention_text(run.machine), run.steps.size(), show(step.median), show(step.p10), show(step.p90));
  using Align = validation::Table::Align;
  validation::Table table({{"op", Align::left}, {"count"}, {"median"}, {"p10"}, {"p90"}, {"in a step"}, {"", Align::left}});
  for (const Line& line : lines_of(schedule, rank, run)) table.add(cells_of(schedule, line));
  return text + table.text() + "\nNo rank communicated: what stands in for it is marked, and its times are not those of a network.\n";
}

}  // namespace fabricast::tools
