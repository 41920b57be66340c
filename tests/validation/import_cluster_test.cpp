#include "validation/import_cluster.hpp"

#include <doctest/doctest.h>

#include "hardware_models/cluster_config.hpp"
#include "tests/temporary_folder.hpp"
#include "tests/validation/small_experiment.hpp"

namespace fabricast::import_cluster_test {

using namespace fabricast;
using namespace fabricast::tests;
using namespace fabricast::validation;

namespace {

NodeFacts h100_node() {
  NodeFacts facts;
  facts.gpus = 8;
  facts.nvlinks = 18;
  facts.nics = 8;
  facts.compute_capability = 90;
  facts.nic_bandwidth = BytesPerSecond(50e9);
  facts.pcie_bandwidth = BytesPerSecond(63e9);
  return facts;
}

hw::ClusterSpec imported(NodeFacts facts, ImportOptions options = {}) {
  const std::string text = cluster_text(hw::parse_json_text(small_cluster(), "base.json"), facts, options);
  return hw::read_cluster(hw::parse_json_text(text, "imported.json"));
}

}  // namespace

// 18 links of 25 GB/s = 450 GB/s per direction.
TEST_CASE("what the dump tells replaces the base's, the rest stays") {
  const hw::ClusterSpec cluster = imported(h100_node());
  CHECK(cluster.nodes == 1);
  CHECK(cluster.node.gpus == 8);
  CHECK(cluster.node.nvlink_bandwidth.value() == doctest::Approx(450e9));
  CHECK(cluster.node.pcie_bandwidth.value() == doctest::Approx(63e9));
  CHECK(cluster.fabric.nic_bandwidth.value() == doctest::Approx(50e9));
  CHECK(cluster.node.nvlink_latency.value() == doctest::Approx(0.6e-6));
  CHECK(cluster.gpu.name == "g");
}

// Four ports of 50 GB/s for eight GPUs: 25 GB/s each.
TEST_CASE("fewer ports than GPUs are shared, and a note says so") {
  NodeFacts facts = h100_node();
  facts.nics = 4;
  const hw::JsonNode base = hw::parse_json_text(small_cluster(), "base.json");
  const std::string text = cluster_text(base, facts, {});
  CHECK(hw::read_cluster(hw::parse_json_text(text, "i")).fabric.nic_bandwidth.value() == doctest::Approx(25e9));
  CHECK(facts.notes.size() == 1);
}

TEST_CASE("the rate of a link follows the chip, the user's word goes first, and an unknown chip needs it") {
  NodeFacts facts = h100_node();
  facts.compute_capability = 100;
  CHECK(imported(facts).node.nvlink_bandwidth.value() == doctest::Approx(900e9));
  ImportOptions options;
  options.nvlink = BytesPerSecond(10e9);
  CHECK(imported(facts, options).node.nvlink_bandwidth.value() == doctest::Approx(180e9));
  facts.compute_capability = 120;
  CHECK_THROWS_AS((void)imported(facts), hw::ConfigError);
}

TEST_CASE("references to other files are written relative to where the cluster will lie") {
  const TemporaryFolder folder("import_cluster");
  folder.write("base/gpus/g.json", small_gpu);
  folder.write("base/collectives.json", small_collectives);
  const auto base = folder.write("base/clusters/c.json", small_cluster_head + "\"gpu\": \"../gpus/g.json\", \"collectives\": \"../collectives.json\"}");
  NodeFacts facts = h100_node();
  ImportOptions options;
  options.folder = folder.path() / "elsewhere" / "deep";
  const std::string text = cluster_text(hw::parse_json_file(base), facts, options);
  CHECK(contains(text, "\"gpu\": \"../../base/gpus/g.json\""));
  CHECK(contains(text, "\"collectives\": \"../../base/collectives.json\""));
}

}  // namespace fabricast::import_cluster_test
