#include "tools/fabricast/bench_output.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <ctime>

#include "validation/bench_json.hpp"
#include "validation/experiment.hpp"
#include "validation/forecast.hpp"

namespace fabricast::tools {

std::string date_and_time() {
  const std::time_t time = std::time(nullptr);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", std::gmtime(&time));
  return text.data();
}

runtime::BenchPlan cuda_bench_plan(const std::optional<std::string>& experiment, const std::vector<std::string>& sets, std::int32_t ranks) {
  if (!experiment) return runtime::device_bench_plan(ranks, hw::Precision::bf16);
  return runtime::device_bench_plan_of(validation::plan(validation::load_experiment(*experiment, sets)).schedule);
}

std::vector<runtime::Traffic> usual_traffic() { return {{16, BytesPerSecond(50e9)}, {16, BytesPerSecond(450e9)}}; }

void write_bench(const runtime::BenchResults& results, const std::string& command, Output* json) {
  if (json) {
    json->stream() << validation::to_json(results, command, date_and_time());
    json->commit();
  }
  std::string lines;
  for (const auto& [what, why] : results.left_out) lines += fmt::format("left out: {}: {}\n", what, why);
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, lines.data(), lines.size());
}

}  // namespace fabricast::tools
