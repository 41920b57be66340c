// Verdicts of preflight: each check at its bound, and none judged without its facts.
#include "validation/preflight.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "hardware_models/json_node.hpp"

namespace fabricast::preflight_test {

using namespace fabricast::validation;
using V = PreflightVerdict;

namespace {

constexpr Bytes gib{std::int64_t{1} << 30};

/// A node of eight that lacks nothing.
PreflightFacts eight_gpus() {
  PreflightFacts facts;
  facts.host.host = "n0";
  for (int i = 0; i < 8; ++i) facts.gpus.gpus.push_back({"NVIDIA H100 80GB HBM3", "580.65.06", Bytes(0), 80 * gib});
  facts.gpus.links.assign(8, std::vector<std::string>(8, "NV18"));
  facts.gpu_all_reduce = BytesPerSecond(440e9);
  return facts;
}

PreflightNeeds sixteen_nodes() {
  PreflightNeeds needs;
  needs.gpus_per_node = 8;
  needs.nodes = 16;
  needs.ranks = 128;
  needs.gpu_memory = 80 * gib;
  needs.peak_of_a_rank = 30 * gib;
  needs.all_ranks = 128 * 30 * gib;
  return needs;
}

PreflightCheck check_of(const PreflightFacts& facts, const PreflightNeeds& needs, const std::string& id) {
  const auto checks = preflight(facts, needs);
  const auto found = std::find_if(checks.begin(), checks.end(), [&](const PreflightCheck& c) { return c.id == id; });
  REQUIRE_MESSAGE(found != checks.end(), id);
  return *found;
}

}  // namespace

TEST_CASE("a node that has all passes all") {
  const auto checks = preflight(eight_gpus(), sixteen_nodes());
  CHECK(checks.size() == 4);
  for (const PreflightCheck& c : checks) CHECK_MESSAGE(c.verdict == V::passed, c.id);
  CHECK(is_ready(checks));
}

TEST_CASE("one GPU too few fails the count") {
  PreflightFacts facts = eight_gpus();
  facts.gpus.gpus.pop_back();
  CHECK(check_of(facts, sixteen_nodes(), "gpu_count").verdict == V::failed);
  CHECK_FALSE(is_ready(preflight(facts, sixteen_nodes())));
}

TEST_CASE("memory is judged by the fullest GPU: the plan's peak just fits, a byte more does not") {
  PreflightFacts facts = eight_gpus();
  facts.gpus.gpus[5].used = 50 * gib;
  CHECK(check_of(facts, sixteen_nodes(), "gpu_memory").verdict == V::passed);
  facts.gpus.gpus[5].used += Bytes(1);
  CHECK(check_of(facts, sixteen_nodes(), "gpu_memory").verdict == V::failed);
}

TEST_CASE("without an experiment nine tenths of each GPU are to be free, and one GPU is enough") {
  PreflightFacts facts = eight_gpus();
  facts.gpus.gpus.resize(1);
  facts.gpus.gpus[0].used = 8 * gib;
  CHECK(check_of(facts, {}, "gpu_memory").verdict == V::passed);
  CHECK(check_of(facts, {}, "gpu_count").verdict == V::passed);
  facts.gpus.gpus[0].used += Bytes(1);
  CHECK(check_of(facts, {}, "gpu_memory").verdict == V::failed);
}

TEST_CASE("a pair without NVLink fails the topology and is named, no table or one GPU cannot be judged") {
  PreflightFacts facts = eight_gpus();
  facts.gpus.links[2][6] = "SYS";
  const PreflightCheck pair = check_of(facts, sixteen_nodes(), "gpu_topology");
  CHECK(pair.verdict == V::failed);
  CHECK(pair.why.find("GPU2 reaches GPU6 by SYS") != std::string::npos);
  CHECK(pair.found.find("27 of 28 pairs") != std::string::npos);
  facts.gpus.links.clear();
  CHECK(check_of(facts, sixteen_nodes(), "gpu_topology").verdict == V::cannot_be_judged);
}

TEST_CASE("an all-reduce passes above 100 GB/s, not at it") {
  PreflightFacts facts = eight_gpus();
  facts.gpu_all_reduce = BytesPerSecond(100e9);
  CHECK(check_of(facts, {}, "gpu_all_reduce").verdict == V::failed);
  facts.gpu_all_reduce = BytesPerSecond(100.1e9);
  CHECK(check_of(facts, {}, "gpu_all_reduce").verdict == V::passed);
  facts.gpu_all_reduce.reset();
  facts.no_gpu_all_reduce = "no nccl-tests";
  CHECK(check_of(facts, {}, "gpu_all_reduce").verdict == V::cannot_be_judged);
  CHECK(check_of(facts, {}, "gpu_all_reduce").why == "no nccl-tests");
}

TEST_CASE("where there is no GPU the count fails and every other check says that there is none") {
  PreflightFacts facts;
  facts.gpus.absence = "no GPU: no driver";
  const auto checks = preflight(facts, sixteen_nodes());
  CHECK_FALSE(is_ready(checks));
  REQUIRE(checks.size() == 4);
  for (const PreflightCheck& c : checks) {
    CHECK(c.verdict == (c.id == "gpu_count" ? V::failed : V::cannot_be_judged));
    CHECK(c.why.find("no GPU") == 0);
  }
}

TEST_CASE("a host needs memory for all ranks and no GPU, over MPI also its programs") {
  PreflightFacts facts;
  facts.available_memory = 128 * 30 * gib;
  PreflightNeeds needs = sixteen_nodes();
  needs.backend = "host";
  CHECK(is_ready(preflight(facts, needs)));
  facts.available_memory -= Bytes(1);
  CHECK(check_of(facts, needs, "host_memory").verdict == V::failed);
  needs.backend = "mpi";
  CHECK(check_of(facts, needs, "mpi").verdict == V::failed);
  facts.has_mpirun = facts.has_worker = true;
  CHECK(check_of(facts, needs, "mpi").verdict == V::passed);
}

TEST_CASE("the JSON has every check, and whether all is ready") {
  const PreflightFacts facts = eight_gpus();
  const hw::JsonNode document = hw::parse_json_text(preflight_json(preflight(facts, sixteen_nodes()), facts, "ep64_tp2"), "preflight");
  CHECK(std::get<std::string>(document.find("schema")->value) == "fabricast.preflight/1");
  CHECK(std::get<bool>(document.find("ready")->value));
  CHECK(document.find("checks") != nullptr);
}

}  // namespace fabricast::preflight_test
