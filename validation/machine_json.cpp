#include "validation/machine_json.hpp"

#include "hardware_models/json_reader.hpp"

namespace fabricast::validation {

runtime::Machine read_machine(const hw::JsonNode& node) {
  hw::ObjectReader reader(node);
  runtime::Machine machine;
  machine.host = reader.optional_text("host").value_or("");
  machine.device = reader.optional_text("device").value_or("");
  machine.devices = static_cast<std::int32_t>(reader.optional_integer("devices", {0, 1 << 20}).value_or(0));
  machine.driver = reader.optional_text("driver").value_or("");
  machine.clock_mhz = reader.optional_number("clock_mhz", 0, 1e6).value_or(0);
  machine.attention = reader.optional_text("attention").value_or("");
  reader.finish();
  return machine;
}

void write_machine(JsonWriter& json, const runtime::Machine& machine) {
  json.open_object("machine");
  if (!machine.host.empty()) json.field("host", machine.host);
  if (!machine.device.empty()) json.field("device", machine.device);
  if (machine.devices > 0) json.field("devices", machine.devices);
  if (!machine.driver.empty()) json.field("driver", machine.driver);
  if (machine.clock_mhz > 0) json.field("clock_mhz", machine.clock_mhz);
  if (!machine.attention.empty()) json.field("attention", machine.attention);
  json.close();
}

std::string attention_text(const runtime::Machine& machine) { return machine.attention.empty() ? "" : ", attention: " + machine.attention; }

}  // namespace fabricast::validation
