#include "validation/nccl_tests.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "hardware_models/json_reader.hpp"
#include "validation/read_measurements.hpp"

namespace fabricast::validation {

namespace {

using hw::CollectiveKind;
using hw::Precision;

/// An upper limit of rows in one table; nccl-tests prints one per size.
constexpr std::size_t most_rows = 100000;

constexpr std::array<std::pair<std::string_view, CollectiveKind>, 6> programs{{{"all_reduce", CollectiveKind::all_reduce},
                                                                               {"all_gather", CollectiveKind::all_gather},
                                                                               {"reduce_scatter", CollectiveKind::reduce_scatter},
                                                                               {"broadcast", CollectiveKind::broadcast},
                                                                               {"alltoall", CollectiveKind::all_to_all},
                                                                               {"sendrecv", CollectiveKind::send}}};

std::optional<CollectiveKind> kind_within(std::string_view text) {
  for (const auto& [name, kind] : programs) {
    if (text.find(std::string(name) + "_perf") != std::string_view::npos) return kind;
  }
  return std::nullopt;
}

CollectiveKind kind_asked(const std::string& name, const std::string& file) {
  for (const auto& [known, kind] : programs) {
    if (name == known || name == hw::name_of(kind)) return kind;
  }
  throw hw::ConfigError(fmt::format("{}: '{}' is no collective; there are: all_reduce, all_gather, reduce_scatter, broadcast, alltoall, sendrecv",
                                    file, name));
}

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  for (std::size_t begin = line.find_first_not_of(" \t\r"); begin != std::string_view::npos;) {
    const std::size_t end = std::min(line.find_first_of(" \t\r", begin), line.size());
    words.push_back(line.substr(begin, end - begin));
    begin = line.find_first_not_of(" \t\r", end);
  }
  return words;
}

std::optional<double> number(std::string_view word) {
  double value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc{} || end != word.data() + word.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

Precision precision_named(std::string_view type) {
  if (type == "half") return Precision::fp16;
  if (type == "bfloat16") return Precision::bf16;
  if (type == "int8" || type == "uint8" || type.rfind("f8", 0) == 0 || type.rfind("fp8", 0) == 0) return Precision::fp8;
  return Precision::fp32;
}

/// One table row before its kind is known.
struct Sample {
  std::int64_t size = 0;
  std::string type;
  double microseconds = 0, algorithm = 0, bus = 0;   // GB/s
  Place place;
};

/// The devices: how many, and how many hosts. nccl-tests prints one line or entry each.
struct Devices {
  std::set<std::string> hosts;
  std::int64_t count = 0;
  std::string name;
};

/// busbw / algbw: 2(n-1)/n is all-reduce's, (n-1)/n is shared by three kinds, and 1 by broadcast and sendrecv.
CollectiveKind kind_by_ratio(const std::vector<Sample>& samples, std::int64_t ranks, const std::string& file) {
  const auto largest = std::max_element(samples.begin(), samples.end(), [](const Sample& a, const Sample& b) { return a.size < b.size; });
  const double ratio = largest->algorithm > 0 ? largest->bus / largest->algorithm : 0;
  if (ranks > 2 && std::abs(ratio - hw::bus_factor(CollectiveKind::all_reduce, ranks)) < 0.02) return CollectiveKind::all_reduce;
  throw hw::ConfigError(file + ": does not say which collective was run; `fabricast import nccl-tests --kind` takes it: all_reduce, all_gather, reduce_scatter, "
                               "broadcast, alltoall or sendrecv");
}

Measurements assemble(std::vector<Sample> samples, const Devices& devices, CollectiveKind kind, const std::string& file) {
  const auto hosts = static_cast<std::int64_t>(devices.hosts.size());
  if (devices.count < 2) throw hw::ConfigError(file + ": names fewer than two devices; a collective needs two");
  if (devices.count % hosts != 0) {
    throw hw::ConfigError(fmt::format("{}: {} devices on {} hosts; only equal numbers per host can be used", file, devices.count, hosts));
  }
  Measurements result;
  result.source = "nccl-tests " + file;
  result.machine.device = devices.name;
  result.machine.devices = static_cast<std::int32_t>(devices.count);
  if (hosts == 1) result.machine.host = *devices.hosts.begin();
  for (Sample& sample : samples) {
    if (sample.size == 0) continue;   // smaller than one element per rank
    CollectiveMeasurement entry;
    entry.kind = kind;
    entry.bytes = Bytes(sample.size);
    entry.nodes = hosts;
    entry.gpus_per_node = devices.count / hosts;
    entry.precision = precision_named(sample.type);
    entry.seconds = entry.p10 = entry.p90 = checked_time(sample.microseconds * 1e-6, sample.place);
    entry.place = std::move(sample.place);
    result.collectives.push_back(std::move(entry));
  }
  if (result.collectives.empty()) throw hw::ConfigError(file + ": holds no row of results");
  return result;
}


/// "#  Rank  0 Group  0 Pid 1234 on  host device  0 [0000:1b:00] NVIDIA H100 80GB HBM3"; older versions write "Rank 0 Pid" and "[0x1b]".
void read_device(std::string_view line, Devices& devices) {
  const std::vector<std::string_view> words = words_of(line);
  const auto on = std::find(words.begin(), words.end(), "on");
  const auto device = std::find(words.begin(), words.end(), "device");
  if (words.size() < 6 || words[1] != "Rank" || on == words.end() || on + 1 == words.end() || device == words.end()) return;
  devices.count += 1;
  devices.hosts.insert(std::string(*(on + 1)));
  const std::size_t bracket = line.find(']');
  if (bracket != std::string_view::npos) devices.name = std::string(line.substr(std::min(line.find_first_not_of(' ', bracket + 1), line.size())));
}

[[noreturn]] void fail(const Place& place, const std::string& what) {
  throw hw::ConfigError(fmt::format("{}:{}: {}", place.file, place.line, what));
}

double need(std::string_view word, const Place& place) {
  const auto value = number(word);
  if (!value) fail(place, hw::shown(word) + " is no number; is the table nccl-tests' own, and complete?");
  return *value;
}

/// size count type redop root | time algbw busbw #wrong | time algbw busbw #wrong. Versions before 2.10 have no root for some collectives.
Sample read_row(const std::vector<std::string_view>& words, Place place) {
  constexpr std::size_t fixed = 5, group = 4;
  if (words.size() < fixed + group) fail(place, "the row ends early; is the table cut off?");
  Sample sample{static_cast<std::int64_t>(need(words[0], place)), std::string(words[2]), 0, 0, 0, place};
  const auto wrong = number(words[fixed + 3]);
  if (wrong && *wrong > 0) fail(place, fmt::format("#wrong is {}: the collective gave wrong results, so its times mean nothing", words[fixed + 3]));
  if (!wrong && words[fixed + 3] != "N/A") fail(place, hw::shown(words[fixed + 3]) + " stands where #wrong should: columns differ from nccl-tests'");
  sample.microseconds = need(words[fixed], place);
  sample.algorithm = need(words[fixed + 1], place);
  sample.bus = need(words[fixed + 2], place);
  return sample;
}


const hw::JsonNode* member(const hw::JsonNode& node, std::string_view key) {
  const hw::JsonNode* found = node.find(key);
  return found != nullptr && !std::holds_alternative<std::nullptr_t>(found->value) ? found : nullptr;
}

double as_any_number(const hw::JsonNode& node) { return hw::as_number(node, -1e18, 1e18); }

/// `time`, or `cpu_time` where -C was given.
std::optional<Sample> read_result(const hw::JsonNode& result) {
  const hw::JsonNode* size = member(result, "size");
  if (size == nullptr) hw::fail(result, "has no size; is this nccl-tests' JSON (-J), version 3?");
  const hw::JsonNode* times = member(result, "out_of_place");
  if (times == nullptr) times = member(result, "in_place");
  if (times == nullptr) return std::nullopt;
  const hw::JsonNode* wrong = member(*times, "nwrong");
  if (wrong != nullptr && as_any_number(*wrong) > 0) hw::fail(*wrong, "the collective gave wrong results, so its times mean nothing");
  const hw::JsonNode* time = member(*times, "time");
  if (time == nullptr) time = member(*times, "cpu_time");
  if (time == nullptr) hw::fail(*times, "has neither time nor cpu_time");
  Sample sample;
  sample.size = hw::as_integer(*size, {0, std::int64_t{1} << 50});
  if (const hw::JsonNode* type = member(result, "type")) sample.type = hw::as_text(*type);
  sample.microseconds = as_any_number(*time);
  if (const hw::JsonNode* bandwidth = member(*times, "alg_bw")) sample.algorithm = as_any_number(*bandwidth);
  if (const hw::JsonNode* bandwidth = member(*times, "bus_bw")) sample.bus = as_any_number(*bandwidth);
  sample.place = {time->file, time->line};
  return sample;
}

Devices read_devices(const hw::JsonNode& document) {
  Devices devices;
  const hw::JsonNode* config = member(document, "config");
  const hw::JsonNode* list = config != nullptr ? member(*config, "devices") : nullptr;
  if (list == nullptr) hw::fail(document, "has no config.devices: how many GPUs ran, and on how many hosts, is not known");
  for (const hw::JsonNode& device : hw::as_array(*list)) {
    devices.count += 1;
    if (const hw::JsonNode* host = member(device, "hostname")) devices.hosts.insert(hw::as_text(*host));
    if (const hw::JsonNode* name = member(device, "device_info")) {
      if (const auto* text = std::get_if<std::string>(&name->value)) devices.name = *text;
    }
  }
  if (devices.hosts.empty()) devices.hosts.insert("");
  return devices;
}

std::string arguments_of(const hw::JsonNode& document) {
  std::string text;
  if (const hw::JsonNode* arguments = member(document, "args")) {
    for (const hw::JsonNode& argument : hw::as_array(*arguments)) {
      if (const auto* word = std::get_if<std::string>(&argument.value)) text += *word + ' ';
    }
  }
  return text;
}

}  // namespace

bool is_nccl_tests_text(std::string_view text) {
  for (const std::string_view mark : {"# nThread ", "algbw   busbw", "_perf\n#", "# Using devices"}) {
    if (text.find(mark) != std::string_view::npos) return true;
  }
  return false;
}

Measurements read_nccl_tests_text(std::string_view text, const std::string& file, const std::string& kind) {
  Devices devices;
  std::vector<Sample> samples;
  std::optional<CollectiveKind> found;
  int line_number = 0;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    ++line_number;
    if (!found) found = kind_within(line);
    const std::size_t first = line.find_first_not_of(" \t\r");
    if (first == std::string_view::npos) continue;
    if (line[first] == '#') {
      read_device(line, devices);
      continue;
    }
    const std::vector<std::string_view> words = words_of(line);
    if (!number(words.front())) continue;   // what mpirun and NCCL print in between
    if (samples.size() == most_rows) fail({file, line_number}, fmt::format("more than {} rows", most_rows));
    samples.push_back(read_row(words, {file, line_number}));
  }
  if (samples.empty()) throw hw::ConfigError(file + ": holds no row of results; was the run cut off?");
  if (devices.hosts.empty()) throw hw::ConfigError(file + ": has no \"# Rank\" lines: how many GPUs ran, and on how many hosts, is not known");
  const CollectiveKind which = !kind.empty() ? kind_asked(kind, file) : found ? *found : kind_by_ratio(samples, devices.count, file);
  return assemble(std::move(samples), devices, which, file);
}

Measurements read_nccl_tests_json(const hw::JsonNode& document, const std::string& kind) {
  const Devices devices = read_devices(document);
  std::vector<Sample> samples;
  const hw::JsonNode* results = member(document, "results");
  if (results == nullptr) hw::fail(document, "has no results");
  for (const hw::JsonNode& result : hw::as_array(*results)) {
    if (auto sample = read_result(result)) samples.push_back(std::move(*sample));
  }
  const std::string& file = document.file;
  if (samples.empty()) throw hw::ConfigError(file + ": holds no row of results");
  const auto found = kind_within(arguments_of(document));
  const CollectiveKind which = !kind.empty() ? kind_asked(kind, file) : found ? *found : kind_by_ratio(samples, devices.count, file);
  Measurements measurements = assemble(std::move(samples), devices, which, file);
  if (const hw::JsonNode* start = member(document, "start_time")) {
    if (const auto* text = std::get_if<std::string>(&start->value)) measurements.date = *text;
  }
  return measurements;
}

}  // namespace fabricast::validation
