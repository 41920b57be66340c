#include "validation/node_facts.hpp"

#include <doctest/doctest.h>

#include <string>

#include "hardware_models/config_error.hpp"

namespace fabricast::node_facts_test {

using namespace fabricast;
using namespace fabricast::validation;

namespace {

/// A matrix of `gpus` GPUs, `links` in each cell, two network ports, affinities and a legend.
std::string matrix(int gpus, const std::string& links) {
  std::string text;
  for (int i = 0; i < gpus; ++i) text += "\tGPU" + std::to_string(i);
  text += "\tNIC0\tNIC1\tCPU Affinity\tNUMA Affinity\tGPU NUMA ID\n";
  for (int i = 0; i < gpus; ++i) {
    text += "GPU" + std::to_string(i);
    for (int j = 0; j < gpus; ++j) text += i == j ? "\t X " : "\t" + links;
    text += "\tPIX\tSYS\t0-55,112-167\t0\tN/A\n";
  }
  for (int nic = 0; nic < 2; ++nic) {
    text += "NIC" + std::to_string(nic);
    for (int j = 0; j < gpus; ++j) text += "\tSYS";
    text += "\t X \t X \t\t\t\n";
  }
  return text + "\nLegend:\n\n  X    = Self\n  NV#  = Connection traversing a bonded set of # NVLinks\n\nNIC Legend:\n\n  NIC0: mlx5_0\n";
}

/// A node of two sockets; `port` is the speed of all network ports but the slow one.
std::string topology(int gpus, int sm, int links, int ports) {
  std::string text = "<system version=\"1\">\n<cpu numaid=\"0\" arch=\"x86_64\">\n";
  for (int i = 0; i < gpus; ++i) {
    text += "<pci busid=\"0\" class=\"0x060400\" link_speed=\"32.0 GT/s PCIe\" link_width=\"16\">\n<pci link_speed=\"32.0 GT/s PCIe\" link_width=\"16\">\n<gpu dev=\"" +
            std::to_string(i) + "\" sm=\"" + std::to_string(sm) + "\" rank=\"0\"><nvlink target=\"0000:c4:00.0\" count=\"" + std::to_string(links) +
            "\" tclass=\"0x068000\"/></gpu>\n</pci></pci>\n";
  }
  for (int i = 0; i < ports; ++i) text += "<pci><nic><net name=\"mlx5_" + std::to_string(i) + "\" speed=\"400000\" gdr=\"1\"/></nic></pci>\n";
  return text + "<nic><net name=\"eth0\" speed=\"10000\"/></nic>\n</cpu></system>\n";
}

std::string message_of(NodeFacts (*read)(std::string_view, const std::string&), const std::string& text) {
  try {
    (void)read(text, "dump");
  } catch (const hw::ConfigError& error) {
    return error.what();
  }
  return {};
}

}  // namespace

// Eight GPUs with 18 links in each cell: 7 · 18 is more than a chip has, so all 18 go to the switch.
TEST_CASE("a cell counts all links of a GPU where they go to a switch") {
  const NodeFacts facts = read_nvidia_smi_topo(matrix(8, "NV18"), "dump");
  CHECK(facts.gpus == 8);
  CHECK(facts.nvlinks == 18);
  CHECK(facts.nics == 2);
  CHECK(facts.notes.empty());
  CHECK_FALSE(facts.compute_capability);
}

// Four GPUs with 4 links to each of three others: 12.
TEST_CASE("a cell counts a pair's links where GPUs are joined one by one, and the facts say so") {
  const NodeFacts facts = read_nvidia_smi_topo(matrix(4, "NV4"), "dump");
  CHECK(facts.nvlinks == 12);
  CHECK(facts.notes.size() == 1);
}

TEST_CASE("colour codes, carriage returns and lines before the matrix do not matter") {
  std::string text = "\x1b[4m" + matrix(8, "NV12");
  text.insert(text.find("\tGPU0") + 1, "\x1b[0m");
  std::string lines = "some banner\n";
  for (const char c : text) lines += c == '\n' ? std::string("\r\n") : std::string(1, c);
  CHECK(read_nvidia_smi_topo(lines, "dump").nvlinks == 12);
}

TEST_CASE("a matrix without NVLink, one cut off and text that is none are refused in one line") {
  CHECK(message_of(read_nvidia_smi_topo, matrix(2, "SYS")) ==
        "dump:2: GPU0 to GPU1: \"SYS\" is no NVLink; the model of a node joins all its GPUs by NVLink");
  const std::string whole = matrix(8, "NV18");
  CHECK(message_of(read_nvidia_smi_topo, whole.substr(0, whole.find("GPU5\tNV"))) == "dump: 8 columns of GPUs and 5 rows: is the file cut off?");
  CHECK(message_of(read_nvidia_smi_topo, whole.substr(0, whole.find("GPU7\tNV") + 9)).find("cells, and the header has more") != std::string::npos);
  CHECK(message_of(read_nvidia_smi_topo, "hello").find("holds no matrix") != std::string::npos);
  CHECK(message_of(read_nvidia_smi_topo, matrix(8, "NV99")).find("no chip has so many") != std::string::npos);
}

// 32 GT/s · 16 lanes · 128/130 / 8 = 63.0 GB/s; 400,000 Mbit/s = 50 GB/s.
TEST_CASE("NCCL's topology tells links, slots and the fastest ports") {
  const NodeFacts facts = read_nccl_topo_xml(topology(8, 90, 18, 8), "dump");
  CHECK(facts.gpus == 8);
  CHECK(facts.nvlinks == 18);
  CHECK(facts.compute_capability == 90);
  CHECK(facts.nics == 8);
  CHECK(facts.nic_bandwidth->value() == doctest::Approx(50e9));
  CHECK(facts.pcie_bandwidth->value() == doctest::Approx(63.0e9).epsilon(0.001));
  CHECK(facts.notes == std::vector<std::string>{"1 slower network ports are left out"});
}

TEST_CASE("a topology without GPUs, of another version, with a number that is none or cut off is refused in one line") {
  CHECK(message_of(read_nccl_topo_xml, topology(0, 90, 18, 1)) == "dump:1: lists no <gpu>");
  CHECK(message_of(read_nccl_topo_xml, "<system version=\"2\"/>").find("known is \"1\"") != std::string::npos);
  CHECK(message_of(read_nccl_topo_xml, "<graphs version=\"1\"/>").find("<graphs> is the root") != std::string::npos);
  CHECK(message_of(read_nccl_topo_xml, topology(1, 90, 0, 1)).find("count = \"0\": should be a number from 1 to 64") != std::string::npos);
  const std::string whole = topology(2, 90, 18, 1);
  for (std::size_t length = 0; length + 10 < whole.size(); length += 7) CHECK_FALSE(message_of(read_nccl_topo_xml, whole.substr(0, length)).empty());
}

}  // namespace fabricast::node_facts_test
