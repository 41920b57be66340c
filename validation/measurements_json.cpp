// The format "fabricast.measurements/1".
#include <fmt/format.h>

#include <cmath>
#include <utility>

#include "hardware_models/json_reader.hpp"
#include "validation/json_writer.hpp"
#include "validation/kernel_config.hpp"
#include "validation/machine_json.hpp"
#include "validation/read_measurements.hpp"

namespace fabricast::validation {

namespace {

using hw::CollectiveAlgorithm;
using hw::CollectiveKind;
using hw::ObjectReader;
using hw::Precision;

constexpr double longest_seconds = 3600.0;
constexpr hw::IntegerRange count_range{1, std::int64_t{1} << 24};
constexpr hw::IntegerRange any_count{0, std::int64_t{1} << 40};

Place place(const hw::JsonNode& node) { return {node.file, node.line}; }

struct Spread { Seconds p10, median, p90; };

double seconds_of(const hw::JsonNode& node) {
  const double value = hw::as_number(node, 0.0, longest_seconds);
  if (value <= 0) hw::fail(node, "a measured time is above 0; leave the entry out where nothing was measured");
  return value;
}

Spread read_spread(const hw::JsonNode& node) {
  ObjectReader reader(node);
  const Spread spread{Seconds(seconds_of(reader.child("p10"))), Seconds(seconds_of(reader.child("median"))),
                      Seconds(seconds_of(reader.child("p90")))};
  reader.finish();
  if (spread.p10 > spread.median || spread.median > spread.p90) hw::fail(node, "p10 <= median <= p90 does not hold");
  return spread;
}

/// Nothing for a copy, which the model of the GPU does not have.
std::optional<KernelMeasurement> read_kernel_entry(const hw::JsonNode& node) {
  ObjectReader reader(node);
  const hw::JsonNode& work = reader.child("work");
  const std::int64_t concurrent = reader.optional_integer("concurrent", count_range).value_or(1);
  const Spread spread = read_spread(reader.child("seconds"));
  (void)reader.optional_integer("repetitions", any_count);
  if (const hw::JsonNode* best = reader.optional_child("best_seconds")) (void)read_spread(*best);
  for (const char* share : {"share_of_best", "share_of_copy_rate"}) (void)reader.optional_number(share, 0.0, 1e6);   // for people
  reader.finish();
  const hw::JsonNode* kind = work.find("kind");
  if (kind != nullptr && std::get_if<std::string>(&kind->value) != nullptr && std::get<std::string>(kind->value) == "copy") return std::nullopt;
  KernelMeasurement entry = single(read_kernel(work), spread.median, place(node));
  entry.concurrent = concurrent;
  return entry;
}

CollectiveMeasurement read_collective_entry(const hw::JsonNode& node) {
  ObjectReader reader(node);
  CollectiveMeasurement entry;
  entry.kind = reader.choice<CollectiveKind>("kind", {{"all_reduce", CollectiveKind::all_reduce},
                                                      {"all_gather", CollectiveKind::all_gather},
                                                      {"reduce_scatter", CollectiveKind::reduce_scatter},
                                                      {"broadcast", CollectiveKind::broadcast},
                                                      {"all_to_all", CollectiveKind::all_to_all},
                                                      {"send", CollectiveKind::send}});
  entry.bytes = Bytes(reader.integer("bytes", any_count));
  entry.nodes = reader.integer("nodes", count_range);
  entry.gpus_per_node = reader.integer("gpus_per_node", count_range);
  entry.algorithm = reader
                        .optional_choice<CollectiveAlgorithm>(
                            "algorithm", {{"automatic", CollectiveAlgorithm::automatic}, {"ring", CollectiveAlgorithm::ring},
                                          {"two_level", CollectiveAlgorithm::two_level}, {"flat", CollectiveAlgorithm::flat},
                                          {"hierarchical", CollectiveAlgorithm::hierarchical}})
                        .value_or(CollectiveAlgorithm::automatic);
  entry.precision = reader
                        .optional_choice<Precision>("precision", {{"fp32", Precision::fp32}, {"fp16", Precision::fp16},
                                                                  {"bf16", Precision::bf16}, {"fp8", Precision::fp8}})
                        .value_or(Precision::fp32);
  const Spread spread = read_spread(reader.child("seconds"));
  entry.seconds = spread.median;
  entry.p10 = spread.p10;
  entry.p90 = spread.p90;
  entry.repetitions = reader.optional_integer("repetitions", any_count).value_or(0);
  reader.finish();
  entry.place = place(node);
  return entry;
}

Seconds read_launch(const hw::JsonNode& node) {
  ObjectReader reader(node);
  const Spread spread = read_spread(reader.child("seconds"));
  (void)reader.optional_integer("repetitions", any_count);
  reader.finish();
  return spread.median;
}

InterferenceMeasurement read_interference(const hw::JsonNode& node) {
  ObjectReader reader(node);
  InterferenceMeasurement entry{read_kernel(reader.child("compute")), 0, {}, {}, {}, place(node), {}};
  entry.communication_sms = reader.integer("communication_sms", any_count);
  entry.communication = BytesPerSecond(reader.number("communication_bytes_per_second", 0.0, 1e18));
  if (const auto memory = reader.optional_number("memory_bytes_per_second", 0.0, 1e18)) entry.memory = BytesPerSecond(*memory);
  entry.alone = Seconds(seconds_of(reader.child("alone_seconds")));
  entry.beside = Seconds(seconds_of(reader.child("beside_seconds")));
  reader.finish();
  return entry;
}

/// What was planned and not measured, for people.
void read_left_out(const hw::JsonNode& array) {
  for (const hw::JsonNode& node : hw::as_array(array)) {
    ObjectReader reader(node);
    (void)hw::as_text(reader.child("what"));
    (void)hw::as_text(reader.child("why"));
    reader.finish();
  }
}

void write_spread(JsonWriter& json, Seconds p10, Seconds median, Seconds p90) {
  json.open_object("seconds");
  json.field("p10", p10.value());
  json.field("median", median.value());
  json.field("p90", p90.value());
  json.close();
}

void write_collective(JsonWriter& json, const CollectiveMeasurement& entry) {
  json.open_object();
  json.field("kind", hw::name_of(entry.kind));
  json.field("bytes", entry.bytes.value());
  json.field("nodes", entry.nodes);
  json.field("gpus_per_node", entry.gpus_per_node);
  if (entry.algorithm != CollectiveAlgorithm::automatic) json.field("algorithm", hw::name_of(entry.algorithm));
  json.field("precision", hw::name_of(entry.precision));
  write_spread(json, entry.p10, entry.seconds, entry.p90);
  if (entry.repetitions > 0) json.field("repetitions", entry.repetitions);
  json.close();
}

}  // namespace

Seconds checked_time(double seconds, const Place& place) {
  if (!std::isfinite(seconds) || seconds <= 0 || seconds > longest_seconds) {
    throw hw::ConfigError(fmt::format("{}:{}: a time of {} s: measured times lie above 0 and below an hour; is the unit right?", place.file,
                                      place.line, seconds));
  }
  return Seconds(seconds);
}

Measurements read_measurements_json(const hw::JsonNode& document) {
  ObjectReader reader(document);
  Measurements result;
  const hw::JsonNode& schema = reader.child("schema");
  if (hw::as_text(schema) != "fabricast.measurements/1") hw::fail(schema, "is not \"fabricast.measurements/1\"");
  result.source = reader.optional_text("source").value_or("");
  result.date = reader.optional_text("date").value_or("");
  if (const hw::JsonNode* machine = reader.optional_child("machine")) result.machine = read_machine(*machine);
  (void)reader.optional_text("method");
  if (const hw::JsonNode* kernels = reader.optional_child("kernels")) {
    for (const hw::JsonNode& node : hw::as_array(*kernels)) {
      if (auto entry = read_kernel_entry(node)) result.kernels.push_back(std::move(*entry));
    }
  }
  if (const hw::JsonNode* collectives = reader.optional_child("collectives")) {
    for (const hw::JsonNode& node : hw::as_array(*collectives)) result.collectives.push_back(read_collective_entry(node));
  }
  if (const hw::JsonNode* launch = reader.optional_child("launch")) result.launch = read_launch(*launch);
  if (const hw::JsonNode* interference = reader.optional_child("interference")) {
    for (const hw::JsonNode& node : hw::as_array(*interference)) result.interference.push_back(read_interference(node));
  }
  if (const hw::JsonNode* left_out = reader.optional_child("left_out")) read_left_out(*left_out);
  reader.finish();
  return result;
}

/// Collectives and the machine: what import knows. Kernels come from `fabricast execute --microbench`, which writes its own file.
std::string to_json(const Measurements& measurements) {
  JsonWriter json;
  json.open_object();
  json.field("schema", "fabricast.measurements/1");
  json.field("source", measurements.source);
  if (!measurements.date.empty()) json.field("date", measurements.date);
  write_machine(json, measurements.machine);
  json.open_array("collectives");
  for (const CollectiveMeasurement& entry : measurements.collectives) write_collective(json, entry);
  json.close();
  json.close();
  return std::move(json).text();
}

}  // namespace fabricast::validation
