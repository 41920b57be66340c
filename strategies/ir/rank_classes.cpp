#include "strategies/ir/rank_classes.hpp"

#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "strategies/ir/alike_steps.hpp"
#include "strategies/ir/resolve.hpp"
#include "strategies/ir/work_sizes.hpp"

namespace fabricast::ir {

namespace {

/// Something that a program asks of the routing plan, but for its scale. Steps that deal alike give the same answer.
struct Question {
  Extent::Of of;
  RoutingStep step;
  [[nodiscard]] auto key() const { return std::tuple(of, step.layer, step.micro_batch, step.chunk); }
  friend bool operator<(const Question& a, const Question& b) { return a.key() < b.key(); }
};

std::vector<Question> questions_of(const Program& program, AlikeSteps& alike) {
  std::set<Question> questions;
  const auto ask = [&](Extent::Of of, RoutingStep step) { questions.insert({of, alike.first_like(step)}); };
  const auto ask_extent = [&](const Extent& extent) {
    if (extent.of != Extent::Of::constant) ask(extent.of, extent.step);
  };
  for (const Op& op : program.ops) {
    for_each_size(op.work, Overloaded{ask_extent, [&](const ExpertRows& rows) { ask(Extent::Of::expert_rows, rows.step); },
                                      [&](const RoutingStep& step) { ask(Extent::Of::rows_sent, step); }});
  }
  for (const BufferSpec& buffer : program.buffers) ask_extent(buffer.rows);
  return {questions.begin(), questions.end()};
}

void append_answer(const Question& question, const Schedule& schedule, Rank rank, std::vector<std::int64_t>& answers) {
  if (question.of != Extent::Of::expert_rows) {
    answers.push_back(evaluate(Extent{question.of, 1, question.step}, schedule, rank));
    return;
  }
  const hw::ExpertRowCounts rows = evaluate(ExpertRows{question.step}, schedule, rank);
  answers.push_back(static_cast<std::int64_t>(rows.size()));
  answers.insert(answers.end(), rows.begin(), rows.end());
}

/// Hands out class numbers in the order in which their keys come.
template <class Key>
class Numbering {
 public:
  void add(Key key) {
    const Rank rank{static_cast<std::int32_t>(classes_.of.size())};
    const auto [place, is_new] = numbers_.try_emplace(std::move(key), static_cast<std::int32_t>(numbers_.size()));
    if (is_new) classes_.representatives.push_back(rank);
    classes_.of.push_back(place->second);
  }
  [[nodiscard]] RankClasses take() { return std::move(classes_); }

 private:
  std::map<Key, std::int32_t> numbers_;
  RankClasses classes_;
};

}  // namespace

RankClasses each_rank(const Schedule& schedule) {
  RankClasses classes;
  for (std::size_t r = 0; r < schedule.ranks.size(); ++r) {
    classes.of.push_back(static_cast<std::int32_t>(r));
    classes.representatives.push_back(Rank{static_cast<std::int32_t>(r)});
  }
  return classes;
}

RankClasses classes_by_size(const Schedule& schedule) {
  AlikeSteps alike(schedule.routing);
  std::vector<std::vector<Question>> questions;
  for (const Program& program : schedule.programs) questions.push_back(questions_of(program, alike));
  Numbering<std::pair<ProgramId, std::vector<std::int64_t>>> numbering;
  for (std::size_t r = 0; r < schedule.ranks.size(); ++r) {
    const ProgramId program = schedule.ranks[r].program;
    std::vector<std::int64_t> answers;
    for (const Question& question : questions[program.index()]) append_answer(question, schedule, Rank{static_cast<std::int32_t>(r)}, answers);
    numbering.add({program, std::move(answers)});
  }
  return numbering.take();
}

RankClasses refine(const RankClasses& classes, std::span<const std::int32_t> others) {
  Numbering<std::pair<std::int32_t, std::int32_t>> numbering;
  for (std::size_t r = 0; r < classes.of.size(); ++r) numbering.add({classes.of[r], others[r]});
  return numbering.take();
}

}  // namespace fabricast::ir
