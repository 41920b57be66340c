#include "hardware_models/cluster_variations.hpp"

#include "hardware_models/gpu_config.hpp"
#include "hardware_models/json_reader.hpp"

namespace fabricast::hw {
namespace {

constexpr IntegerRange number_range{0, 1 << 20};
constexpr IntegerRange nic_range{1, 1024};
constexpr double most_slowdown = 1000;

std::optional<BytesPerSecond> optional_bandwidth(ObjectReader& reader, std::string_view key) {
  const JsonNode* value = reader.optional_child(key);
  return value ? std::optional(as_bandwidth(*value)) : std::nullopt;
}

OtherNodes read_entry(const JsonNode& node) {
  ObjectReader reader(node);
  OtherNodes entry;
  entry.first = reader.integer("first", number_range);
  entry.last = reader.integer("last", number_range);
  if (const JsonNode* gpu = reader.optional_child("gpu")) entry.gpu = read_gpu(*gpu);
  entry.nics = reader.optional_integer("nics", nic_range);
  entry.nic_bandwidth = optional_bandwidth(reader, "nic_bandwidth");
  entry.nvlink_bandwidth = optional_bandwidth(reader, "nvlink_bandwidth");
  entry.pcie_bandwidth = optional_bandwidth(reader, "pcie_bandwidth");
  reader.finish();
  return entry;
}

Faults::Part read_part(const JsonNode& node, std::string_view part) {
  ObjectReader reader(node);
  const Faults::Part fault{reader.integer("node", number_range), reader.integer(part, number_range), reader.number("bandwidth", 0, 1)};
  reader.finish();
  return fault;
}

Faults::SlowGpu read_slow_gpu(const JsonNode& node) {
  ObjectReader reader(node);
  const Faults::SlowGpu fault{reader.integer("node", number_range), reader.integer("gpu", number_range),
                              reader.number("slowdown", 1, most_slowdown)};
  reader.finish();
  return fault;
}

Faults::Uplink read_uplink(const JsonNode& node) {
  ObjectReader reader(node);
  const Faults::Uplink fault{reader.integer("leaf", number_range), reader.integer("spine", number_range), reader.number("bandwidth", 0, 1)};
  reader.finish();
  return fault;
}

template <class Read>
auto read_list(ObjectReader& reader, std::string_view key, Read read) {
  std::vector<decltype(read(reader.node()))> list;
  const JsonNode* array = reader.optional_child(key);
  if (!array) return list;
  for (const JsonNode& element : as_array(*array)) list.push_back(read(element));
  return list;
}

}  // namespace

std::vector<OtherNodes> read_other_nodes(const JsonNode& node) {
  std::vector<OtherNodes> entries;
  for (const JsonNode& element : as_array(node)) entries.push_back(read_entry(element));
  return entries;
}

Faults read_faults(const JsonNode& node) {
  ObjectReader reader(node);
  Faults faults;
  faults.slow_gpus = read_list(reader, "slow_gpus", read_slow_gpu);
  faults.nics = read_list(reader, "nics", [](const JsonNode& element) { return read_part(element, "nic"); });
  faults.nvlinks = read_list(reader, "nvlinks", [](const JsonNode& element) { return read_part(element, "gpu"); });
  faults.uplinks = read_list(reader, "uplinks", read_uplink);
  reader.finish();
  return faults;
}

}  // namespace fabricast::hw
