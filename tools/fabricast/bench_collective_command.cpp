#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "hardware_models/cluster_config.hpp"
#include "hardware_models/quantity.hpp"
#include "tools/fabricast/commands.hpp"
#include "tools/fabricast/options.hpp"
#include "tools/fabricast/output.hpp"
#include "validation/collective_bench.hpp"
#include "validation/experiment_document.hpp"

namespace fabricast::tools {

namespace {

using hw::CollectiveAlgorithm;
using hw::CollectiveKind;

constexpr CollectiveKind kinds[] = {CollectiveKind::all_reduce, CollectiveKind::all_gather, CollectiveKind::reduce_scatter,
                                    CollectiveKind::broadcast,  CollectiveKind::all_to_all, CollectiveKind::send};
constexpr CollectiveAlgorithm algorithms[] = {
    CollectiveAlgorithm::automatic, CollectiveAlgorithm::ring,      CollectiveAlgorithm::two_level, CollectiveAlgorithm::flat,
    CollectiveAlgorithm::hierarchical, CollectiveAlgorithm::rail_ring, CollectiveAlgorithm::tree,   CollectiveAlgorithm::nvls,
    CollectiveAlgorithm::nvls_tree, CollectiveAlgorithm::sharp,     CollectiveAlgorithm::pairwise,
    CollectiveAlgorithm::deduplicated, CollectiveAlgorithm::low_latency};
constexpr Bytes most_bytes(std::int64_t{1} << 42);  // an all-to-all's rows of 1 KiB stay within 32 bits
constexpr double most_skew = 8.0;
constexpr std::int64_t most_experts = 1 << 16;

/// The one of `choices` with this name.
template <class Choices>
auto named(const std::string& what, const std::string& word, const Choices& choices) {
  std::vector<std::string> names;
  for (const auto choice : choices) {
    if (hw::name_of(choice) == word) return choice;
    names.emplace_back(hw::name_of(choice));
  }
  throw UsageError("no " + what + " '" + word + "'" + did_you_mean(word, names));
}

/// "1GiB", or a plain count of bytes.
Bytes parse_size(std::string_view option, std::string_view text) {
  std::int64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  Bytes size(count);
  if (error != std::errc{} || end != text.data() + text.size()) {
    try {
      size = hw::parse_bytes(text);
    } catch (const hw::QuantityError& wrong) {
      throw UsageError(fmt::format("{} {}: {}", option, hw::shown(text), wrong.what()));
    }
  }
  if (size < Bytes(1) || size > most_bytes) {
    throw UsageError(fmt::format("{} {} is out of range; write 1 B to 4 TiB", option, hw::shown(text)));
  }
  return size;
}

/// A size, or "first:last" in powers of two from the first on, as nccl-tests -b -e -f 2.
std::vector<Bytes> parse_sizes(const std::string& text) {
  const auto colon = text.find(':');
  const Bytes first = parse_size("--bytes", std::string_view(text).substr(0, colon));
  const Bytes last = colon == std::string::npos ? first : parse_size("--bytes", std::string_view(text).substr(colon + 1));
  if (last < first) throw UsageError("--bytes " + hw::shown(text) + " ends before it begins; write the smaller size first");
  std::vector<Bytes> sizes;
  for (Bytes size = first; size <= last; size = 2 * size) sizes.push_back(size);
  return sizes;
}

std::int64_t parse_number(std::string_view text, std::int64_t least, std::int64_t most, const std::string& whole) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < least || value > most) {
    throw UsageError(fmt::format("--group {}: {} is no number from {} to {}", hw::shown(whole), hw::shown(text), least, most));
  }
  return value;
}

std::vector<GpuId> every(std::int64_t stride, std::int64_t gpus) {
  std::vector<GpuId> group;
  for (std::int64_t gpu = 0; gpu < gpus; gpu += stride) group.push_back(GpuId{static_cast<std::int32_t>(gpu)});
  return group;
}

/// "all", "node" (the first one), "stride:8" (every eighth GPU) or a list of GPUs by number, "0,8,16".
std::vector<GpuId> parse_group(const std::string& text, const hw::ClusterSpec& cluster) {
  constexpr std::string_view stride = "stride:";
  if (text == "all") return every(1, cluster.gpus());
  if (text == "node") return every(1, cluster.node.gpus);
  if (text.starts_with(stride)) return every(parse_number(text.substr(stride.size()), 1, cluster.gpus(), text), cluster.gpus());
  std::vector<GpuId> group;
  for (std::string_view rest = text;;) {
    const auto comma = rest.find(',');
    const GpuId gpu{static_cast<std::int32_t>(parse_number(rest.substr(0, comma), 0, cluster.gpus() - 1, text))};
    if (std::find(group.begin(), group.end(), gpu) != group.end()) {
      throw UsageError(fmt::format("--group {}: GPU {} occurs twice; name each member once", hw::shown(text), gpu.value));
    }
    group.push_back(gpu);
    if (comma == std::string_view::npos) return group;
    rest.remove_prefix(comma + 1);
  }
}

/// The algorithm must run the kind on this group, on these switches.
void require_runnable(const validation::CollectiveBench& bench, const hw::ClusterSpec& cluster) {
  if (bench.group.size() < 2) throw UsageError("--group has one member; a collective needs two or more");
  if (bench.algorithm == CollectiveAlgorithm::automatic) return;
  std::vector<NodeId> nodes;
  for (const GpuId gpu : bench.group) nodes.push_back(NodeId{static_cast<std::int32_t>(gpu.value / cluster.node.gpus)});
  const CollectiveAlgorithm algorithm = bench.algorithm;
  if (!hw::applies(bench.kind, algorithm, nodes)) {
    std::vector<std::string_view> others;
    for (const CollectiveAlgorithm other : algorithms) {
      if (hw::applies(bench.kind, other, nodes)) others.push_back(hw::name_of(other));
    }
    throw UsageError(fmt::format("--algorithm {} does not run {} on this group; of the algorithms, these do: {}", hw::name_of(algorithm),
                                 hw::name_of(bench.kind), fmt::join(others, ", ")));
  }
  const bool in_node = algorithm == CollectiveAlgorithm::nvls || algorithm == CollectiveAlgorithm::nvls_tree;
  if (in_node && !cluster.node.in_switch_reduction) {
    throw UsageError("--algorithm " + std::string(hw::name_of(algorithm)) + " needs NVSwitches that reduce; set node.in_switch_reduction");
  }
  if (algorithm == CollectiveAlgorithm::sharp && !cluster.fabric.in_network_reduction) {
    throw UsageError("--algorithm sharp needs a network that reduces; set fabric.in_network_reduction");
  }
}

class BenchCollectiveCommand final : public Command {
 public:
  explicit BenchCollectiveCommand(Syntax& syntax);
  [[nodiscard]] ExitCode run() const override;

 private:
  void read_tokens(validation::CollectiveBench& bench) const;
  [[nodiscard]] validation::CollectiveBench bench_on(const hw::ClusterSpec& cluster) const;

  std::string kind_, cluster_, bytes_ = "8:8GiB", group_ = "all", algorithm_ = "automatic";
  double skew_ = 0.0;
  std::int64_t top_k_ = 1;
  std::optional<std::int64_t> experts_;
  std::optional<std::string> row_;
  bool combine_ = false;
  std::optional<std::string> json_;
  bool quiet_ = false;
};

BenchCollectiveCommand::BenchCollectiveCommand(Syntax& syntax) {
  syntax.argument("kind", kind_, "all_reduce, all_gather, reduce_scatter, broadcast, all_to_all or send", "KIND");
  syntax.option("--cluster", cluster_, "Cluster file (required)", "FILE");
  syntax.option("--bytes", bytes_, "Size, or a range in powers of two", "SIZE|FIRST:LAST");
  syntax.option("--group", group_, "Members: all, node, stride:K (every K-th GPU), or GPUs by number", "all|node|stride:K|0,8,16");
  syntax.option("--algorithm", algorithm_, "Instead of the one that the tuner chooses", "NAME");
  syntax.option("--skew", skew_, "all_to_all: zipf exponent of the members' popularity; 0 is uniform", "S");
  syntax.option("--top-k", top_k_, "all_to_all of tokens: choices of each; SIZE is then tokens x top-k x row", "K");
  syntax.option("--experts", experts_, "all_to_all of tokens: experts in all (default: one per member)", "E");
  syntax.option("--row", row_, "all_to_all of tokens: size of one", "SIZE");
  syntax.flag("--combine", combine_, "all_to_all of tokens: the way back");
  syntax.option("--json", json_, "Write the result as JSON; - is standard output (then without the table)", "FILE");
  syntax.flag("-q,--quiet", quiet_, "Print no table");
  syntax.example(
      "Example: an all-reduce on all GPUs, as nccl-tests would list it\n"
      "  fabricast bench-collective all_reduce --cluster configs/clusters/h100_16x8.json --bytes 1MiB:1GiB");
}

validation::CollectiveBench BenchCollectiveCommand::bench_on(const hw::ClusterSpec& cluster) const {
  validation::CollectiveBench bench;
  bench.kind = named("collective", kind_, kinds);
  bench.algorithm = named("algorithm", algorithm_, algorithms);
  bench.group = parse_group(group_, cluster);
  bench.skew = skew_;
  if (bench.kind == CollectiveKind::send && bench.group.size() > 2) bench.group.resize(2);
  if (!(skew_ >= 0.0 && skew_ <= most_skew)) throw UsageError(fmt::format("--skew {} is out of range; write 0 to {}", skew_, most_skew));
  read_tokens(bench);
  if (skew_ > 0.0 && bench.kind != CollectiveKind::all_to_all) throw UsageError("--skew is for all_to_all; other kinds have no skew");
  require_runnable(bench, cluster);
  return bench;
}

void BenchCollectiveCommand::read_tokens(validation::CollectiveBench& bench) const {
  const auto members = static_cast<std::int64_t>(bench.group.size());
  bench.combine = combine_;
  bench.top_k = top_k_;
  bench.experts = experts_.value_or(members);
  if (row_) bench.row = parse_size("--row", *row_);
  if (bench.experts < 1 || bench.experts > most_experts || bench.experts % members != 0) {
    throw UsageError(fmt::format("--experts {} cannot be dealt to {} members in equal runs; write a multiple of {} up to {}", bench.experts,
                                 members, members, most_experts));
  }
  if (top_k_ < 1 || top_k_ > bench.experts) throw UsageError(fmt::format("--top-k {} is out of range; write 1 to {}", top_k_, bench.experts));
  const bool given = top_k_ != 1 || experts_ || row_ || combine_;
  if (given && bench.kind != CollectiveKind::all_to_all) {
    throw UsageError("--top-k, --experts, --row and --combine are for all_to_all; other kinds move no tokens");
  }
}

ExitCode BenchCollectiveCommand::run() const {
  if (cluster_.empty()) throw UsageError("name the cluster, as in --cluster configs/clusters/h100_16x8.json");
  const hw::ClusterSpec cluster = hw::read_cluster(validation::load_cluster_document(cluster_));
  const validation::CollectiveBench bench = bench_on(cluster);
  const std::vector<Bytes> sizes = parse_sizes(bytes_);
  std::optional<Output> json;
  if (json_) json.emplace(*json_);
  std::vector<validation::CollectiveTiming> timings;
  for (const Bytes size : sizes) timings.push_back(validation::time_collective(cluster, bench, size));
  if (json) {
    json->stream() << validation::to_json(cluster, bench, timings);
    json->commit();
  }
  if (!quiet_ && !(json_ && Output::is_standard_output(*json_))) print(validation::collective_table(timings));
  return ExitCode::success;
}

}  // namespace

std::unique_ptr<Command> make_bench_collective_command(Syntax& syntax) { return std::make_unique<BenchCollectiveCommand>(syntax); }

}  // namespace fabricast::tools
