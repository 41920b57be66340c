// NCCL's topology XML: <system><cpu><pci><gpu dev sm><nvlink count/></gpu></pci><pci><nic><net speed/></nic></pci></cpu></system>.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "hardware_models/config_error.hpp"
#include "validation/node_facts.hpp"
#include "validation/xml_elements.hpp"

namespace fabricast::validation {

namespace {

constexpr double megabit = 1e6 / 8;          // "speed" of a net is in Mbit/s (NCCL src/graph/topo.cc)
constexpr double most_speed = 10e6;          // 10 Tbit/s
constexpr std::int64_t most_links = 64;

class TopologyReader {
 public:
  TopologyReader(std::vector<XmlElement> elements, const std::string& file) : elements_(std::move(elements)), file_(file) {}

  NodeFacts read() {
    const XmlElement& root = elements_.front();
    if (root.name != "system") fail(root, fmt::format("<{}> is the root; NCCL's topology has <system>", hw::one_line(root.name)));
    if (text(root, "version") != "1") fail(root, fmt::format("version \"{}\"; known is \"1\"", hw::one_line(text(root, "version"))));
    for (const XmlElement& element : elements_) {
      if (element.name == "gpu") add_gpu(element);
      if (element.name == "net") add_net(element);
    }
    if (facts_.gpus == 0) fail(root, "lists no <gpu>");
    count_links();
    return std::move(facts_);
  }

 private:
  [[noreturn]] void fail(const XmlElement& element, const std::string& message) const {
    throw hw::ConfigError(fmt::format("{}:{}: {}", file_, element.line, message));
  }

  [[nodiscard]] std::string text(const XmlElement& element, const std::string& attribute) const {
    const auto found = element.attributes.find(attribute);
    if (found == element.attributes.end()) fail(element, fmt::format("<{}> lacks the attribute '{}'", element.name, attribute));
    return found->second;
  }

  /// The number that the attribute begins with: "16.0 GT/s PCIe" is 16.
  [[nodiscard]] double number(const XmlElement& element, const std::string& attribute, double least, double most) const {
    const std::string value = text(element, attribute);
    double result = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), result);
    if (error != std::errc{} || !(result >= least) || result > most) {
      fail(element, fmt::format("{} = {}: should be a number from {:.0f} to {:.0f}", attribute, hw::shown(value), least, most));
    }
    return result;
  }

  void add_gpu(const XmlElement& gpu) {
    facts_.gpus += 1;
    const auto sm = static_cast<std::int64_t>(number(gpu, "sm", 30, 999));
    if (facts_.compute_capability && *facts_.compute_capability != sm) fail(gpu, "GPUs of several kinds; the model of a cluster has one");
    facts_.compute_capability = sm;
    if (!gpu.parent) return;
    const XmlElement& slot = elements_[*gpu.parent];
    if (slot.name == "pci" && slot.attributes.contains("link_speed") && slot.attributes.contains("link_width")) add_slot(slot);
  }

  /// GT/s · lanes / 8, less the line code: 8b/10b below 8 GT/s, 128b/130b from there on (PCI Express base specification).
  void add_slot(const XmlElement& slot) {
    const double transfers = number(slot, "link_speed", 1, 1024), lanes = number(slot, "link_width", 1, 32);
    const BytesPerSecond rate(transfers * 1e9 * lanes / 8 * (transfers < 8 ? 8.0 / 10 : 128.0 / 130));
    facts_.pcie_bandwidth = std::min(facts_.pcie_bandwidth.value_or(rate), rate);
  }

  /// Ports of the highest speed: slower ones are for storage and management, as a rule.
  void add_net(const XmlElement& net) {
    const BytesPerSecond rate(number(net, "speed", 1, most_speed) * megabit);
    if (facts_.nic_bandwidth && rate < *facts_.nic_bandwidth) {
      slower_ += 1;
      return;
    }
    if (facts_.nic_bandwidth && rate > *facts_.nic_bandwidth) {
      slower_ += facts_.nics;
      facts_.nics = 0;
    }
    facts_.nic_bandwidth = rate;
    facts_.nics += 1;
  }

  void count_links() {
    std::vector<std::int64_t> links(elements_.size());
    for (const XmlElement& element : elements_) {
      if (element.name == "nvlink" && element.parent) links[*element.parent] += static_cast<std::int64_t>(number(element, "count", 1, most_links));
    }
    std::int64_t fewest = most_links + 1, most = 0;
    for (std::size_t i = 0; i < elements_.size(); ++i) {
      if (elements_[i].name != "gpu") continue;
      fewest = std::min(fewest, links[i]);
      most = std::max(most, links[i]);
    }
    facts_.nvlinks = fewest;
    if (fewest != most) facts_.notes.push_back(fmt::format("GPUs have {} to {} NVLinks; the fewest are taken for all", fewest, most));
    if (slower_ > 0) facts_.notes.push_back(fmt::format("{} slower network ports are left out", slower_));
  }

  std::vector<XmlElement> elements_;
  const std::string& file_;
  NodeFacts facts_;
  std::int64_t slower_ = 0;
};

}  // namespace

NodeFacts read_nccl_topo_xml(std::string_view text, const std::string& file) { return TopologyReader(parse_xml(text, file), file).read(); }

}  // namespace fabricast::validation
