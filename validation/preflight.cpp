#include "validation/preflight.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "validation/json_writer.hpp"
#include "validation/text.hpp"

namespace fabricast::validation {

namespace {

using Verdict = PreflightVerdict;

Verdict verdict(bool holds) { return holds ? Verdict::passed : Verdict::failed; }

class Judge {
 public:
  Judge(const PreflightFacts& facts, const PreflightNeeds& needs) : facts_(facts), needs_(needs) {}

  [[nodiscard]] std::vector<PreflightCheck> checks() const {
    std::vector<PreflightCheck> all;
    if (on_gpus()) all.push_back(gpu_count());
    if (on_gpus()) all.push_back(gpu_memory());
    if (on_gpus()) all.push_back(gpu_topology());
    if (on_gpus()) all.push_back(gpu_all_reduce());
    if (!on_gpus()) all.push_back(host_memory());
    if (!on_gpus()) all.push_back(processors());
    if (needs_.backend == "mpi") all.push_back(mpi());
    if (facts_.host_all_reduce) all.push_back(host_all_reduce());
    return all;
  }

 private:
  [[nodiscard]] bool on_gpus() const { return needs_.backend == "cuda"; }
  [[nodiscard]] const std::vector<runtime::GpuFacts>& gpus() const { return facts_.gpus.gpus; }

  [[nodiscard]] PreflightCheck gpu_count() const {
    PreflightCheck check{"gpu_count", needs_.gpus_per_node ? fmt::format("{} on each node", *needs_.gpus_per_node) : "1 or more",
                         std::to_string(gpus().size()), verdict(static_cast<std::int64_t>(gpus().size()) >= needs_.gpus_per_node.value_or(1)), {}};
    if (gpus().empty()) {
      check.why = facts_.gpus.absence;
    } else {
      check.found += " of " + gpus().front().name;
      if (check.verdict == Verdict::failed) check.why = "compare nvidia-smi -L with the machine's data sheet; CUDA_VISIBLE_DEVICES does not hide any from it";
    }
    if (needs_.nodes && *needs_.nodes > 1) {
      check.why += fmt::format("{}the job has {} nodes, {} GPUs: run this on each", check.why.empty() ? "" : "; ", *needs_.nodes,
                               *needs_.nodes * needs_.gpus_per_node.value_or(1));
    }
    return check;
  }

  [[nodiscard]] PreflightCheck gpu_memory() const {
    const std::string wanted = needs_.peak_of_a_rank ? show_memory(*needs_.peak_of_a_rank) + " free on each (the plan's peak)" : "9/10 free on each";
    if (gpus().empty()) return {"gpu_memory", wanted, "nothing", Verdict::cannot_be_judged, "no GPU"};
    const auto least = std::min_element(gpus().begin(), gpus().end(), [](const auto& a, const auto& b) { return a.total - a.used < b.total - b.used; });
    const Bytes free = least->total - least->used;
    const bool is_free = needs_.peak_of_a_rank ? free >= *needs_.peak_of_a_rank : 10 * free >= 9 * least->total;
    PreflightCheck check{"gpu_memory", wanted, fmt::format("{} free of {} on the fullest", show_memory(free), show_memory(least->total)), verdict(is_free), {}};
    if (!is_free) check.why = "nvidia-smi shows whose process holds it; or give a rank less (micro-batches, wider sharding)";
    if (is_free && needs_.gpu_memory && least->total < *needs_.gpu_memory) {
      check.why = fmt::format("the cluster file says {} a GPU: forecasts of what fits are too generous", show_memory(*needs_.gpu_memory));
    }
    return check;
  }

  [[nodiscard]] PreflightCheck gpu_topology() const {
    PreflightCheck check{"gpu_topology", "NVLink between every two GPUs of the node", "", Verdict::cannot_be_judged, {}};
    const auto& links = facts_.gpus.links;
    if (gpus().size() < 2) {
      check.found = gpus().empty() ? "nothing" : "one GPU";
      check.why = gpus().empty() ? "no GPU" : "a pair needs two";
      return check;
    }
    if (links.size() != gpus().size()) {
      check.found = "no table";
      check.why = "nvidia-smi topo -m did not answer";
      return check;
    }
    std::string first_without;
    std::size_t without = 0, pairs = 0;
    for (std::size_t i = 0; i < links.size(); ++i) {
      for (std::size_t j = i + 1; j < links.size(); ++j, ++pairs) {
        if (links[i][j].rfind("NV", 0) == 0) continue;
        if (without++ == 0) first_without = fmt::format("GPU{} reaches GPU{} by {}", i, j, links[i][j]);
      }
    }
    check.verdict = verdict(without == 0);
    check.found = fmt::format("{} of {} pairs, {}", pairs - without, pairs, links[0][1]);
    if (without > 0) check.why = first_without + ": tensor-parallel groups would cross PCIe; see nvidia-smi nvlink -s and the fabric manager";
    return check;
  }

  [[nodiscard]] PreflightCheck gpu_all_reduce() const {
    PreflightCheck check{"gpu_all_reduce", "above " + show(least_all_reduce) + " bus bandwidth", "nothing", Verdict::cannot_be_judged, {}};
    if (facts_.gpu_all_reduce) {
      check.found = show(*facts_.gpu_all_reduce);
      check.verdict = verdict(*facts_.gpu_all_reduce > least_all_reduce);
      check.why = "all_reduce_perf of nccl-tests among this node's GPUs, up to 1 GiB";
    } else {
      check.why = gpus().empty() ? "no GPU" : facts_.no_gpu_all_reduce;
    }
    return check;
  }

  [[nodiscard]] PreflightCheck host_memory() const {
    PreflightCheck check{"host_memory", "", show_memory(facts_.available_memory) + " available", Verdict::noted, {}};
    if (!needs_.all_ranks) return check;
    check.wanted = show_memory(*needs_.all_ranks) + " for all ranks (the plan's peaks)";
    check.verdict = verdict(facts_.available_memory >= *needs_.all_ranks);
    if (check.verdict == Verdict::failed) check.why = "run the experiment at reduced widths, or on GPUs";
    return check;
  }

  [[nodiscard]] PreflightCheck processors() const {
    PreflightCheck check{"processors", "", std::to_string(facts_.host.devices), Verdict::noted, {}};
    if (needs_.ranks && *needs_.ranks > facts_.host.devices) {
      check.why = fmt::format("{} ranks share {} processors: numbers are right, times are not those of {} machines", *needs_.ranks, facts_.host.devices,
                              *needs_.ranks);
    }
    return check;
  }

  [[nodiscard]] PreflightCheck mpi() const {
    PreflightCheck check{"mpi", "mpirun and fabricast-worker",
                         fmt::format("{} mpirun, {} fabricast-worker", facts_.has_mpirun ? "an" : "no", facts_.has_worker ? "a" : "no"),
                         verdict(facts_.has_mpirun && facts_.has_worker), {}};
    if (check.verdict == Verdict::failed) check.why = "install Open MPI with its headers (openmpi-bin, libopenmpi-dev), configure and build again";
    return check;
  }

  [[nodiscard]] PreflightCheck host_all_reduce() const {
    return {"host_all_reduce", "", show(*facts_.host_all_reduce) + " bus bandwidth", Verdict::noted, "among threads of this process, 4 MiB"};
  }

  const PreflightFacts& facts_;
  const PreflightNeeds& needs_;
};

}  // namespace

std::string_view name_of(PreflightVerdict v) {
  switch (v) {
    case Verdict::passed: return "passed";
    case Verdict::failed: return "failed";
    case Verdict::cannot_be_judged: return "cannot_be_judged";
    case Verdict::noted: return "noted";
  }
  throw std::invalid_argument("unknown verdict of a preflight check");
}

std::vector<PreflightCheck> preflight(const PreflightFacts& facts, const PreflightNeeds& needs) { return Judge(facts, needs).checks(); }

bool is_ready(const std::vector<PreflightCheck>& checks) {
  return std::none_of(checks.begin(), checks.end(), [](const PreflightCheck& c) { return c.verdict == Verdict::failed; });
}

std::string preflight_text(const std::vector<PreflightCheck>& checks, const PreflightFacts& facts) {
  using Align = Table::Align;
  Table table({{"check", Align::left}, {"verdict", Align::left}, {"wanted", Align::left}, {"found", Align::left}});
  for (const PreflightCheck& c : checks) {
    std::string shown(name_of(c.verdict));
    std::replace(shown.begin(), shown.end(), '_', ' ');
    table.add({c.id, shown, c.wanted, c.found});
  }
  std::string text = fmt::format("{}, {}\n{}", facts.host.host, facts.host.device, table.text());
  for (const PreflightCheck& c : checks) {
    if (!c.why.empty()) text += wrap(fmt::format("{}: {}", c.id, c.why), 4);
  }
  return text + (is_ready(checks) ? "Ready, as far as could be judged.\n" : "Not ready.\n");
}

std::string preflight_json(const std::vector<PreflightCheck>& checks, const PreflightFacts& facts, const std::string& experiment) {
  JsonWriter json;
  json.open_object();
  json.field("schema", "fabricast.preflight/1");
  if (!experiment.empty()) json.field("experiment", experiment);
  json.field("host", facts.host.host);
  json.field("ready", is_ready(checks));
  json.open_array("checks");
  for (const PreflightCheck& c : checks) {
    json.open_object();
    json.field("id", c.id);
    json.field("verdict", name_of(c.verdict));
    json.field("wanted", c.wanted);
    json.field("found", c.found);
    json.field("why", c.why);
    json.close();
  }
  json.close();
  json.close();
  return std::move(json).text();
}

}  // namespace fabricast::validation
