#include "validation/rank_validation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <stdexcept>
#include <utility>

#include "validation/json_writer.hpp"

namespace fabricast::validation {

namespace {

std::string signed_percent(double error) { return fmt::format("{:+.1f} %", 100 * error); }

double share_or_zero(Seconds part, Seconds whole) { return part == Seconds(0) ? 0 : whole > Seconds(0) ? part / whole : 1; }

/// Sums, of which the errors follow at the end.
class RankSums {
 public:
  RankSums(std::string label, std::string kind) { sum_.label = std::move(label), sum_.kind = std::move(kind); }
  void add(Seconds predicted, Seconds measured) {
    ++sum_.count;
    sum_.predicted += predicted;
    sum_.measured += measured;
    difference_ += Seconds(std::abs((predicted - measured).value()));
  }
  [[nodiscard]] RankClass result() const {
    RankClass one = sum_;
    one.error = share_or_zero(one.predicted - one.measured, one.measured);
    one.op_error = share_or_zero(difference_, one.measured);
    return one;
  }

 private:
  RankClass sum_;
  Seconds difference_;
};

void write_sums(JsonWriter& json, const RankClass& one) {
  json.field("count", one.count);
  json.field("predicted_seconds", one.predicted.value());
  json.field("measured_seconds", one.measured.value());
  json.field("error", one.error);
  json.field("op_error", one.op_error);
}

std::vector<std::string> row_of(const RankClass& one, const std::string& name) {
  return {name, one.kind, std::to_string(one.count), show(one.predicted), show(one.measured), signed_percent(one.error), fmt::format("{:.1f} %", 100 * one.op_error)};
}

}  // namespace

std::optional<Rank> only_rank(const MeasuredTrace& trace) {
  if (trace.ops.empty() || trace.header.ranks < 2) return std::nullopt;
  const Rank rank = trace.ops.front().rank;
  const bool alone = std::all_of(trace.ops.begin(), trace.ops.end(), [&](const MeasuredOp& op) { return op.rank == rank; });
  return alone ? std::optional(rank) : std::nullopt;
}

RankValidation validate_rank(const ir::Schedule& schedule, const ir::Trace& predicted, const MeasuredTrace& measured, Rank rank) {
  const std::vector<ir::Op> no_ops;
  const bool exists = rank.index() < schedule.ranks.size();
  const std::vector<ir::Op>& ops = exists ? schedule.program_of(rank).ops : no_ops;
  RankValidation result{measured.header.experiment, measured.header.backend, rank, {}, {}};
  std::vector<RankSums> classes;
  std::map<std::pair<std::string, std::string>, std::size_t> place;
  RankSums all("", "");
  for (std::size_t i = 0; i < std::max(ops.size(), measured.ops.size()); ++i) {
    const MeasuredOp* op = i < measured.ops.size() ? &measured.ops[i] : nullptr;
    const bool is_it = op != nullptr && i < ops.size() && op->rank == rank && op->op.index() == i && op->label == schedule.label(ops[i].label) &&
                       op->kind == ir::kind_of(ops[i].work);
    if (!is_it) throw hw::ConfigError(fmt::format("the trace is not of this schedule: rank {}, op {} is missing or another", rank.value, i));
    if (ir::communicates(ops[i].work)) continue;
    const ir::OpInterval& interval = predicted.at(rank, op->op);
    const Seconds forecast = to_seconds(interval.end - interval.start);
    const auto [found, is_new] = place.try_emplace({op->label, op->kind}, classes.size());
    if (is_new) classes.emplace_back(op->label, op->kind);
    classes[found->second].add(forecast, op->seconds.median);
    all.add(forecast, op->seconds.median);
  }
  for (const RankSums& one : classes) result.classes.push_back(one.result());
  result.all = all.result();
  return result;
}

std::string summary(const RankValidation& validation, TextStyle style) {
  std::string out = style.strong(fmt::format("{}: rank {} alone against its measured ops ({}): computation predicted {}, measured {}, error {}", validation.experiment,
                                             validation.rank.value, validation.backend, show(validation.all.predicted), show(validation.all.measured),
                                             signed_percent(validation.all.error)));
  Table table({{"class", Table::Align::left}, {"kind", Table::Align::left}, {"count"}, {"predicted"}, {"measured"}, {"error"}, {"op by op"}});
  for (const RankClass& one : validation.classes) table.add(row_of(one, one.label));
  table.add_rule();
  table.add(row_of(validation.all, "computation"));
  return out + "\n\n" + table.text() +
         wrap("Sums over the step's ops of each class, communication left out; measured: medians over the timed steps. op by op: the sum of absolute errors of "
              "single ops over the measured time, where errors do not cancel. Predicted without what communication beside it would take.", 2);
}

std::string to_json(const RankValidation& validation) {
  JsonWriter json;
  json.open_object();
  json.field("schema", "fabricast.rank_validation/1");
  json.field("experiment", validation.experiment);
  json.field("backend", validation.backend);
  json.field("rank", std::int64_t{validation.rank.value});
  json.open_array("classes");
  for (const RankClass& one : validation.classes) {
    json.open_object();
    json.field("label", one.label);
    json.field("kind", one.kind);
    write_sums(json, one);
    json.close();
  }
  json.close();
  json.open_object("computation");
  write_sums(json, validation.all);
  json.close();
  json.close();
  return std::move(json).text();
}

}  // namespace fabricast::validation
