#include "validation/calibrate_gpu.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <map>
#include <set>
#include <utility>

#include "hardware_models/config_error.hpp"
#include "validation/least_squares.hpp"
#include "validation/predict_kernel.hpp"
#include "validation/residual_record.hpp"

namespace fabricast::validation {

namespace {

using Row = const KernelMeasurement*;
using RowList = std::vector<Row>;
using Form = GpuParameter::Form;

constexpr std::size_t most_rows_fitted = 2500;     // more rows of one stage are thinned out evenly
constexpr std::size_t most_terms_fitted = 8000;    // a row of a fused layer under skewed routing has twenty terms
constexpr std::size_t rows_per_constant = 8;       // fewer rows fit fewer constants
constexpr std::size_t most_folds = 5;
constexpr double throttle_seconds = 2e-3;          // only rows as long as this can tell what the power limit does
constexpr double launches_of_a_pass = 4.0;         // shorter passes measure the launch
constexpr Bytes beyond_cache(64'000'000);          // less may lie in the L2 cache: 40 MB on an A100, 50 MB on an H100 (NVIDIA's white papers)

/// What is fitted together.
struct Stage {
  std::string name;
  std::vector<GpuParameter> parameters;
  RowList fitted;      // rows that the fit sees
  RowList judged;      // those and others of the same kinds
};

std::set<std::string> families_of(const RowList& rows) {
  std::set<std::string> families;
  for (const Row row : rows) families.insert(row->family);
  return families;
}

std::uint32_t hash_of(const std::string& text) {   // FNV-1a
  std::uint32_t hash = 2166136261u;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
  return hash;
}

/// Families in the order of their hashes, dealt in turn: unrelated to size, and equal in number.
std::map<std::string, int> folds_of(const RowList& rows) {
  std::vector<std::pair<std::uint32_t, std::string>> order;
  for (const std::string& family : families_of(rows)) order.emplace_back(hash_of(family), family);
  std::sort(order.begin(), order.end());
  const std::size_t folds = std::min(most_folds, order.size());
  std::map<std::string, int> result;
  for (std::size_t i = 0; i < order.size(); ++i) result[order[i].second] = static_cast<int>(i % folds);
  return result;
}

RowList thinned(const RowList& rows) {
  std::size_t terms = 0;
  for (const Row row : rows) terms += row->terms.size();
  const std::size_t stride = std::max({std::size_t{1}, (rows.size() + most_rows_fitted - 1) / most_rows_fitted,
                                       (terms + most_terms_fitted - 1) / most_terms_fitted});
  RowList result;
  for (std::size_t i = 0; i < rows.size(); i += stride) result.push_back(rows[i]);
  return result;
}

/// Constants of sources among the rows, as parameters.
std::vector<GpuParameter> with_constants(std::vector<GpuParameter> parameters, const RowList& rows) {
  std::set<std::string> names;
  for (const Row row : rows) {
    for (const SourceCost& cost : row->costs) names.insert(cost.name);
  }
  for (const std::string& name : names) {
    parameters.push_back({"/calibration/constants/" + name, Form::seconds, 0.0, 1e-3, 1e-7,
                          [name](hw::GpuSpec gpu) {
                            const auto found = gpu.calibration.constants.find(name);
                            return found == gpu.calibration.constants.end() ? 5e-6 : found->second.value();
                          },
                          [name](hw::GpuSpec& gpu, double value) { gpu.calibration.constants[name] = Seconds(value); }});
  }
  return parameters;
}

void set_all(hw::GpuSpec& gpu, const std::vector<GpuParameter>& parameters, const std::vector<double>& values) {
  for (std::size_t i = 0; i < parameters.size(); ++i) parameters[i].set(gpu, values[i]);
}

FitResult fit_once(const hw::GpuSpec& base, const std::vector<GpuParameter>& parameters, const RowList& rows) {
  std::vector<FitParameter> start;
  for (const GpuParameter& p : parameters) start.push_back({std::clamp(p.get(base), p.least, p.most), p.least, p.most, p.step});
  return robust_least_squares(start, rows.size(), [&](const std::vector<double>& values, std::vector<double>& residuals) {
    hw::GpuSpec gpu = base;
    set_all(gpu, parameters, values);
    const hw::GpuCostModel model(std::move(gpu), hw::Duty::alone);
    for (std::size_t i = 0; i < rows.size(); ++i) residuals[i] = std::log(predicted(*rows[i], model) / rows[i]->seconds);
  });
}

/// Not by rows that push it to where it cannot be: a pass at the memory's full bandwidth read its inputs from the cache.
bool is_determined(const GpuParameter& parameter, double value, double error) {
  return value < parameter.most && std::isfinite(error) && error <= std::max(0.5 * std::abs(value), 10 * parameter.step);
}

struct StageFit {
  hw::GpuSpec gpu;
  std::vector<FittedConstant> constants;
  int iterations = 0;
};

StageFit fit_stage(const hw::GpuSpec& base, const Stage& stage, const RowList& all_rows);

/// Rows too few or too noisy to tell any of the constants from the others: the one of most weight is fitted alone.
void fit_first_alone(const hw::GpuSpec& base, const Stage& stage, const GpuParameter& first, const RowList& rows, StageFit& result) {
  StageFit alone = fit_stage(base, {stage.name, {first}, stage.fitted, stage.judged}, rows);
  std::erase_if(result.constants, [&](const FittedConstant& constant) { return constant.pointer == first.pointer; });
  std::move(alone.constants.begin(), alone.constants.end(), std::back_inserter(result.constants));
  result.gpu = std::move(alone.gpu);
  result.iterations += alone.iterations;
}

/// Parameters that the rows do not determine stay where they were, and the others are fitted again without them.
StageFit fit_stage(const hw::GpuSpec& base, const Stage& stage, const RowList& all_rows) {
  const RowList rows = thinned(all_rows);
  std::vector<GpuParameter> parameters = stage.parameters;
  parameters.resize(std::min(parameters.size(), std::max(std::size_t{1}, rows.size() / rows_per_constant)));
  parameters = with_constants(std::move(parameters), rows);
  if (parameters.empty() || rows.empty()) return {base, {}, 0};
  FitResult fit = fit_once(base, parameters, rows);
  StageFit result{base, {}, fit.iterations};
  std::vector<GpuParameter> determined;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    if (is_determined(parameters[i], fit.values[i], fit.standard_errors[i])) {
      determined.push_back(parameters[i]);
    } else {
      const double before = parameters[i].get(base);
      result.constants.push_back({parameters[i].pointer, stage.name, parameters[i].form, before, before, fit.standard_errors[i], false});
    }
  }
  if (determined.empty() && stage.parameters.size() > 1) fit_first_alone(base, stage, stage.parameters.front(), rows, result);
  if (determined.empty()) return result;
  if (determined.size() < parameters.size()) fit = fit_once(base, determined, rows);
  set_all(result.gpu, determined, fit.values);
  for (std::size_t i = 0; i < determined.size(); ++i) {
    result.constants.push_back({determined[i].pointer, stage.name, determined[i].form, determined[i].get(base), determined[i].get(result.gpu),
                                fit.standard_errors[i], true});
  }
  result.iterations += fit.iterations;
  return result;
}

bool begins(const std::string& text, const std::string& part) { return text.rfind(part, 0) == 0; }

RowList rows_of_kind(const Measurements& all, const std::vector<std::string>& names) {
  RowList rows;
  for (const KernelMeasurement& row : all.kernels) {
    if (std::find(names.begin(), names.end(), row.kind) != names.end()) rows.push_back(&row);
  }
  return rows;
}

/// Several precisions come from several libraries, as a rule: one of them is fitted, the others are judged.
RowList first_of(const Measurements& all, const std::vector<std::vector<std::string>>& choices) {
  for (const auto& names : choices) {
    RowList rows = rows_of_kind(all, names);
    if (!rows.empty()) return rows;
  }
  return {};
}

RowList of_traffic_above(const RowList& rows, Bytes least) {
  RowList result;
  for (const Row row : rows) {
    if (hw::memory_traffic(row->terms.front().kernel) > least) result.push_back(row);
  }
  return result;
}

/// Rows that tell what the memory does: those too large for the cache; where there are few, those longer than their launch.
RowList long_enough(const RowList& rows, const hw::GpuSpec& gpu) {
  RowList result = of_traffic_above(rows, beyond_cache);
  if (result.size() < rows_per_constant) {
    result = of_traffic_above(rows, Bytes(static_cast<std::int64_t>(gpu.memory_bandwidth.value() * gpu.launch.value() * launches_of_a_pass)));
  }
  return result.size() >= rows_per_constant ? result : rows;
}

/// Rows too large for the cache that take less time than their operands need at the memory's specified bandwidth did not read them all: they
/// are judged, and move nothing.
RowList possible(const RowList& rows, const hw::GpuSpec& gpu) {
  RowList result;
  std::copy_if(rows.begin(), rows.end(), std::back_inserter(result), [&](const Row row) {
    const Bytes traffic = hw::memory_traffic(row->terms.front().kernel);
    return traffic <= beyond_cache || row->seconds >= traffic / gpu.memory_bandwidth;
  });
  return result;
}

Stage gemm_stage(const hw::GpuSpec& base, const Measurements& all) {
  RowList rows = first_of(all, {{"gemm bf16", "grouped_gemm bf16"}, {"gemm fp16", "grouped_gemm fp16"}, {"gemm fp32", "grouped_gemm fp32"}});
  const bool long_rows = std::count_if(rows.begin(), rows.end(), [](Row row) { return row->seconds > Seconds(throttle_seconds); }) >= 30;
  return {"gemm", gemm_parameters(base, long_rows), rows, rows};
}

Stage prefill_stage(const Measurements& all) {
  RowList rows = first_of(all, {{"attention prefill bf16"}, {"attention prefill fp16"}, {"attention prefill fp32"}});
  std::set<double> depths;
  for (const Row row : rows) depths.insert(dimensions_of(row->terms.front().kernel)["head_dim"]);
  return {"attention prefill", prefill_parameters(depths.size() > 1), rows, rows};
}

/// Norms come first: they tell how much the cache holds. Only where the profile says how small passes run do small ones count.
std::vector<Stage> pass_stages(const hw::GpuSpec& base, const Measurements& all) {
  std::vector<Stage> stages;
  std::vector<GpuParameter> cache = pass_cache_parameters(base);
  for (const hw::PassKind pass : {hw::PassKind::rms_norm, hw::PassKind::embedding, hw::PassKind::rope, hw::PassKind::residual_add,
                                  hw::PassKind::activation, hw::PassKind::router, hw::PassKind::permute, hw::PassKind::weighted_sum}) {
    const std::string name(name_of(pass));
    RowList rows;
    for (const KernelMeasurement& row : all.kernels) {
      if (begins(row.kind, name + ' ')) rows.push_back(&row);
    }
    if (rows.empty()) continue;
    std::vector<GpuParameter> parameters{pass_parameter(pass)};
    for (GpuParameter& more : small_pass_parameters(base, pass)) parameters.push_back(std::move(more));
    if (parameters.size() > 1) std::move(cache.begin(), cache.end(), std::back_inserter(parameters)), cache.clear();
    RowList fitted = parameters.size() > 1 ? rows : long_enough(rows, base);
    stages.push_back({name, std::move(parameters), std::move(fitted), rows});
  }
  return stages;
}

/// Fused layers of one precision. Those that may run a kernel tuned for another layer are judged, and move nothing.
Stage moe_stage(const Measurements& all, const std::string& precision, std::vector<GpuParameter> parameters) {
  const std::string name = "moe layer " + precision;
  const std::vector<std::string> own{name + " balanced", name + " power law"};
  const RowList judged = rows_of_kind(all, {own[0], own[1], own[0] + shared_tuning, own[1] + shared_tuning});
  return {name, std::move(parameters), rows_of_kind(all, own), judged};
}

/// bf16 layers tell how grouped GEMMs run, and the passes beside them where nobody timed those alone; of the other precisions only what the
/// source's own kernels cost is fitted.
void add_moe_stages(const hw::GpuSpec& base, const Measurements& all, std::vector<Stage>& stages) {
  const bool known = std::any_of(stages.begin(), stages.end(), [](const Stage& stage) { return stage.name == "permute" && !stage.judged.empty(); });
  std::vector<GpuParameter> parameters = grouped_parameters(base);
  if (!known) parameters.push_back(moe_pass_parameter());
  stages.push_back(moe_stage(all, "bf16", std::move(parameters)));
  stages.push_back(moe_stage(all, "fp8", {}));
  stages.push_back(moe_stage(all, "fp8 blockwise", {}));
}

/// Rows of another library than the one that was fitted: of them only what its own kernels cost.
Stage costs_stage(const Measurements& all, const std::string& kind) {
  RowList rows = rows_of_kind(all, {kind});
  return {kind, {}, rows, rows};
}

/// What an all-gather's kernel reads and writes per byte that its GPU receives: kernel_footprint.cpp's 1 for a byte sent and 2 for one received,
/// of which a ring has as many.
constexpr double traffic_per_byte_received = 3.0;

/// Kernels beside communication, as rows of kinds of their own.
std::vector<KernelMeasurement> rows_beside(const hw::GpuSpec& base, const Measurements& all) {
  std::vector<KernelMeasurement> rows;
  for (const InterferenceMeasurement& entry : all.interference) {
    KernelMeasurement row = single(entry.compute, entry.beside, entry.place);
    if (!can_run(row, base)) continue;
    row.kind = "beside communication: " + row.kind;
    row.beside = Beside{{entry.communication_sms, entry.memory.value_or(entry.communication * traffic_per_byte_received)}, entry.alone};
    rows.push_back(std::move(row));
  }
  return rows;
}

/// Last, since its rows are slowdowns by the constants of all other stages. A host sets no processors aside and is told no traffic: it is
/// judged only.
Stage interference_stage(const Measurements& all, const std::vector<KernelMeasurement>& beside) {
  const bool told = std::any_of(all.interference.begin(), all.interference.end(),
                                [](const InterferenceMeasurement& entry) { return entry.communication_sms > 0 || entry.memory; });
  RowList judged;
  for (const KernelMeasurement& row : beside) judged.push_back(&row);
  return {"interference", interference_parameters(), told ? judged : RowList{}, judged};
}

std::vector<Stage> stages_of(const hw::GpuSpec& base, const Measurements& all, const std::vector<KernelMeasurement>& beside) {
  std::vector<Stage> stages;
  stages.push_back(gemm_stage(base, all));
  const RowList fp8 = first_of(all, {{"gemm fp8", "grouped_gemm fp8"}, {"gemm fp8 blockwise", "grouped_gemm fp8 blockwise"}});
  stages.push_back({"gemm fp8", fp8_parameters(), fp8, fp8});
  if (!fp8.empty() && fp8.front()->kind.find("blockwise") == std::string::npos) stages.push_back(costs_stage(all, "gemm fp8 blockwise"));
  stages.push_back(prefill_stage(all));
  const RowList decode = first_of(all, {{"attention decode bf16"}, {"attention decode fp16"}, {"attention decode fp32"}});
  const bool holds_costs = std::any_of(decode.begin(), decode.end(), [](Row row) { return !row->costs.empty(); });   // which short rows tell
  stages.push_back({"attention decode", decode_parameters(base), possible(holds_costs ? decode : long_enough(decode, base), base), decode});
  for (Stage& pass : pass_stages(base, all)) stages.push_back(std::move(pass));
  add_moe_stages(base, all, stages);
  stages.push_back(interference_stage(all, beside));
  stages.erase(std::remove_if(stages.begin(), stages.end(), [](const Stage& stage) { return stage.judged.empty(); }), stages.end());
  return stages;
}

/// Of the row's products, which are nearly all of its time; of its only kernel otherwise.
std::multimap<std::string, double> product_dimensions(const KernelMeasurement& row) {
  std::multimap<std::string, double> result;
  for (const Term& term : row.terms) {
    if (row.terms.size() > 1 && hw::flop(term.kernel) <= Flop(0)) continue;
    for (const auto& dimension : dimensions_of(term.kernel)) result.insert(dimension);
  }
  return result;
}

/// Residuals by kind, as the record wants them.
class HeldOut {
 public:
  void add(const std::string& system, const KernelMeasurement& row, Seconds predicted_time, int fold) {
    rows_.push_back({system, row.kind, row.family, row.seconds, predicted_time, row.place});
    by_kind_[row.kind].push_back({rows_of(row.terms.front().kernel), row.seconds / predicted_time, fold, row.family, product_dimensions(row)});
  }
  void add_records(hw::CalibrationRecord& record, const std::set<std::string>& in_sample) const {
    for (const auto& [kind, rows] : by_kind_) {
      std::erase_if(record.kinds, [&, name = kind](const hw::CalibratedKind& old) { return old.kind == name; });
      record.kinds.push_back(record_of(kind, rows, !in_sample.contains(kind)));
    }
    std::sort(record.kinds.begin(), record.kinds.end(), [](const auto& a, const auto& b) { return a.kind < b.kind; });
  }
  [[nodiscard]] std::vector<AgreementRow> take() && { return std::move(rows_); }

 private:
  std::vector<AgreementRow> rows_;
  std::map<std::string, std::vector<HeldOutRow>> by_kind_;
};

/// Each family is predicted by a fit that did not see it; with one family only, by the fit to itself.
std::size_t cross_validate(const hw::GpuSpec& before, const Stage& stage, const std::string& system, HeldOut& held_out,
                           std::set<std::string>& in_sample) {
  const std::map<std::string, int> folds = folds_of(stage.judged);
  const std::size_t count = std::min(most_folds, folds.size());
  if (count == 1) {
    for (const Row row : stage.judged) in_sample.insert(row->kind);
  }
  for (int fold = 0; fold < static_cast<int>(count); ++fold) {
    RowList others;
    for (const Row row : stage.fitted) {
      if (count == 1 || folds.at(row->family) != fold) others.push_back(row);
    }
    if (others.empty()) others = stage.fitted;
    const hw::GpuCostModel model(fit_stage(before, stage, others).gpu, hw::Duty::alone);
    for (const Row row : stage.judged) {
      if (folds.at(row->family) == fold) held_out.add(system, *row, predicted(*row, model), fold);
    }
  }
  return count;
}

void judge_the_rest(const hw::GpuSpec& gpu, const Measurements& all, const std::set<std::string>& done, HeldOut& held_out) {
  const hw::GpuCostModel model(gpu, hw::Duty::alone);
  RowList rest;
  for (const KernelMeasurement& row : all.kernels) {
    if (!done.contains(row.kind) && can_run(row, gpu)) rest.push_back(&row);
  }
  if (rest.empty()) return;
  const std::map<std::string, int> folds = folds_of(rest);
  for (const Row row : rest) held_out.add(all.system, *row, predicted(*row, model), folds.at(row->family));
}

/// A slip of the unit shows in all rows of a kind at once; single wild rows are for the robust fit.
void check_units(const hw::GpuSpec& base, const Measurements& all) {
  const hw::GpuCostModel model(base, hw::Duty::alone);
  std::map<std::string, std::pair<std::vector<double>, std::vector<double>>> by_kind;   // measured over floor, over prediction
  std::map<std::string, Place> first;
  for (const KernelMeasurement& row : all.kernels) {
    if (!can_run(row, base)) continue;
    auto& [floors, predictions] = by_kind[row.kind];
    first.try_emplace(row.kind, row.place);
    if (const Seconds floor = arithmetic_floor(row, base); floor > Seconds(0)) floors.push_back(row.seconds / floor);
    predictions.push_back(row.seconds / predicted(row, model));
  }
  for (const auto& [kind, ratios] : by_kind) {
    const Place& place = first[kind];
    if (!ratios.first.empty() && quantile(ratios.first, 0.5) < 0.8) {
      throw hw::ConfigError(fmt::format("{}:{}: {}: in the median {:.2g} of the time that {} needs at its peak; wrong unit, or wrong --base?",
                                        place.file, place.line, kind, quantile(ratios.first, 0.5), base.name));
    }
    if (const double ratio = quantile(ratios.second, 0.5); ratio > 100.0 || ratio < 0.01) {
      throw hw::ConfigError(fmt::format("{}:{}: {}: in the median {:.2g} times what {} predicts; wrong unit, or wrong --base?", place.file,
                                        place.line, kind, ratio, base.name));
    }
  }
}

std::vector<std::string> kinds_in(const RowList& rows) {
  std::set<std::string> names;
  for (const Row row : rows) names.insert(row->kind);
  return {names.begin(), names.end()};
}

/// What this fit did not judge stays as the base has it.
void mark_borrowed(hw::CalibrationRecord& record, const std::vector<AgreementRow>& judged, const std::string& from) {
  for (hw::CalibratedKind& kind : record.kinds) {
    const bool here = std::any_of(judged.begin(), judged.end(), [&](const AgreementRow& row) { return row.kind == kind.kind; });
    if (!here && !kind.measured_on) kind.measured_on = from;
  }
}

}  // namespace

GpuCalibration calibrate_gpu(const hw::GpuSpec& base, const Measurements& measurements, const std::optional<std::string>& name) {
  if (measurements.kernels.empty() && !measurements.launch) throw hw::ConfigError("the inputs hold no kernel that a GPU's profile could be fitted to");
  check_units(base, measurements);
  GpuCalibration result{base, {}, {}, {}};
  if (measurements.launch) {
    result.constants.push_back({"/launch", "launch", Form::seconds, base.launch.value(), measurements.launch->value(), 0.0, true});
    result.gpu.launch = *measurements.launch;
  }
  HeldOut held_out;
  std::set<std::string> done, in_sample;
  const std::vector<KernelMeasurement> beside = rows_beside(base, measurements);
  for (const Stage& stage : stages_of(result.gpu, measurements, beside)) {
    const hw::GpuSpec before = result.gpu;
    StageFit fit = fit_stage(before, stage, stage.fitted);
    const std::size_t folds = cross_validate(before, stage, measurements.system, held_out, in_sample);
    result.stages.push_back({stage.name, kinds_in(stage.judged), stage.fitted.size(), families_of(stage.judged).size(), folds, fit.iterations});
    for (FittedConstant& constant : fit.constants) result.constants.push_back(std::move(constant));
    for (const std::string& kind : kinds_in(stage.judged)) done.insert(kind);
    result.gpu = std::move(fit.gpu);
  }
  judge_the_rest(result.gpu, measurements, done, held_out);
  held_out.add_records(result.gpu.calibration, in_sample);
  result.held_out = std::move(held_out).take();
  if (name && *name != base.name) mark_borrowed(result.gpu.calibration, result.held_out, base.name);
  return result;
}

}  // namespace fabricast::validation
