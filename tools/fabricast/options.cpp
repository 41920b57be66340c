#include "tools/fabricast/options.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <system_error>
#include <thread>

#include "hardware_models/config_error.hpp"
#include "hardware_models/edit_distance.hpp"
#include "tools/fabricast/output.hpp"

namespace fabricast::tools {

namespace {

sim::Fidelity fidelity_named(const std::string& name) {
  constexpr std::array all{sim::Fidelity::bound, sim::Fidelity::flow, sim::Fidelity::flow_exact};
  std::vector<std::string> names;
  for (const sim::Fidelity fidelity : all) {
    if (name == sim::name_of(fidelity)) return fidelity;
    names.emplace_back(sim::name_of(fidelity));
  }
  throw UsageError("--fidelity is 'bound', 'flow' or 'flow-exact', not '" + name + "'" + did_you_mean(name, names));
}

}  // namespace

void CommonOptions::declare(Syntax& syntax) {
  syntax.option("--set", sets, "Change a key of the experiment, or of a file that it names; repeatable", "PATH.TO.KEY=VALUE");
  syntax.option("--json", json, "Write the result as JSON; - is standard output (then without the summary)", "FILE");
  syntax.flag("-q,--quiet", quiet, "Print no summary");
}

bool CommonOptions::prints_summary() const { return !quiet && !(json && Output::is_standard_output(*json)); }

void SimulationOptions::declare(Syntax& syntax, const std::string& trace_help) {
  syntax.option("--trace", trace, trace_help, "FILE");
  declare_model(syntax);
  syntax.flag("--no-folding", unfolded, "Simulate every rank, even where ranks are alike and one stands for all; the result is the same");
  syntax.flag("--require-fit", require_fit, "Exit with 1 if the fullest GPU's memory does not suffice");
}

void SimulationOptions::declare_model(Syntax& syntax) {
  syntax.option("--fidelity", fidelity,
                "Network model: bound (byte floor plus latency), flow (links shared max-min fairly; flows that end within 1 % of their time "
                "may end together) or flow-exact (no such liberty)",
                "bound|flow|flow-exact");
  syntax.option("--interference", interference, "Do communication kernels slow the computation beside them?", "on|off");
}

void ThreadOptions::declare(Syntax& syntax) {
  syntax.option("--threads", threads, "Forecast so many at a time; the result is the same (default: one per processor)");
}

std::size_t ThreadOptions::count() const {
  constexpr std::int64_t most = 4096;
  if (!threads) return std::max(1u, std::thread::hardware_concurrency());
  if (*threads < 1 || *threads > most) throw UsageError("--threads is from 1 to " + std::to_string(most) + ", not " + std::to_string(*threads));
  return static_cast<std::size_t>(*threads);
}

sim::SimulateOptions SimulationOptions::simulate_options() const {
  sim::SimulateOptions options;
  options.record_link_rates = trace.has_value();
  options.fidelity = fidelity_named(fidelity);
  options.fold = !unfolded;
  if (interference == "off") {
    options.interference = false;
  } else if (interference != "on") {
    throw UsageError("--interference is 'on' or 'off', not '" + interference + "'" + did_you_mean(interference, {"on", "off"}));
  }
  return options;
}

void require_apart(const std::vector<std::pair<std::string, std::optional<std::string>>>& outputs) {
  std::map<std::filesystem::path, std::string> taken;
  for (const auto& [option, path] : outputs) {
    if (!path) continue;
    const bool standard = Output::is_standard_output(*path);
    std::error_code unknown;   // such a path is told of when it is opened
    const auto [place, is_new] = taken.emplace(standard ? std::filesystem::path(*path) : std::filesystem::weakly_canonical(*path, unknown), option);
    if (is_new || *path == "/dev/null") continue;
    throw UsageError(place->second + " and " + option + " would both write " + (standard ? "to standard output" : hw::shown(*path)) +
                     "; give each a file of its own");
  }
}

std::string did_you_mean(const std::string& word, const std::vector<std::string>& candidates) {
  const auto near = hw::nearest(word, candidates);
  if (near) return ", did you mean '" + *near + "'?";
  std::string all;
  for (const std::string& candidate : candidates) all += (all.empty() ? "" : ", ") + candidate;
  return " (there are: " + all + ")";
}

}  // namespace fabricast::tools
