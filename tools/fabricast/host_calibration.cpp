#include "tools/fabricast/host_calibration.hpp"

#include <unistd.h>

#include <iostream>
#include <utility>

#include "runtime/host_bench.hpp"
#include "tools/fabricast/bench_output.hpp"
#include "tools/fabricast/microbench.hpp"
#include "tools/fabricast/output.hpp"
#include "validation/bench_json.hpp"
#include "validation/calibration_text.hpp"
#include "validation/host_profile.hpp"
#include "validation/read_measurements.hpp"

namespace fabricast::tools {

namespace {

void append_round(runtime::BenchResults& all, runtime::BenchResults&& more) {
  std::move(more.kernels.begin(), more.kernels.end(), std::back_inserter(all.kernels));
  std::move(more.copies.begin(), more.copies.end(), std::back_inserter(all.copies));
  std::move(more.collectives.begin(), more.collectives.end(), std::back_inserter(all.collectives));
  std::move(more.interference.begin(), more.interference.end(), std::back_inserter(all.interference));
}

}  // namespace

validation::Measurements measure_host(const HostMeasuring& measuring, const std::string& command) {
  std::optional<Output> keep;
  if (measuring.keep) keep.emplace(*measuring.keep);
  const runtime::BenchPlan plan = bench_plan({measuring.experiment, measuring.ranks, measuring.repetitions}, {});
  const bool shows_progress = ::isatty(STDERR_FILENO) == 1;
  const auto say = [&](const std::string& what) {
    if (shows_progress) std::cerr << "\r\033[K" << what.substr(0, 100) << std::flush;
  };
  const auto half = static_cast<std::int32_t>((measuring.repetitions + 1) / 2);
  runtime::BenchResults results = runtime::run_on_host(plan, half, say);
  append_round(results, runtime::run_on_host(plan, half, say));
  say("");
  const std::string json = validation::to_json(results, command, date_and_time());
  if (keep) {
    keep->stream() << json;
    keep->commit();
  }
  validation::Measurements measurements = validation::read_measurements_json(hw::parse_json_text(json, "this host"));
  measurements.machine.memory = results.machine.memory;   // which the format does not have
  return measurements;
}

std::vector<validation::AgreementRow> write_host_profile(const validation::Measurements& measurements, const validation::Provenance& provenance,
                                                         const std::string& path, bool quiet) {
  Output out(path);
  validation::HostCalibration host = validation::calibrate_host(measurements, provenance);
  out.stream() << host.cluster;
  out.commit();
  if (!quiet && !Output::is_standard_output(path)) {
    print(validation::constants_table(host.rank) + '\n' + validation::kinds_table(host.rank.gpu.calibration));
    if (host.exchange) print('\n' + validation::constants_table(*host.exchange) + '\n' + validation::kinds_table(host.exchange->collectives.calibration));
  }
  std::vector<validation::AgreementRow> rows = std::move(host.rank.held_out);
  if (host.exchange) std::move(host.exchange->held_out.begin(), host.exchange->held_out.end(), std::back_inserter(rows));
  return rows;
}

}  // namespace fabricast::tools
