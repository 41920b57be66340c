#include "validation/experiment.hpp"

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "tests/temporary_folder.hpp"
#include "tests/validation/small_experiment.hpp"

namespace fabricast::experiment_test {

using namespace fabricast;
using namespace fabricast::tests;
using validation::Experiment;
using validation::load_experiment;

namespace {

/// experiment.json names parts/model.json and parts/cluster.json, which names gpus/gpu.json and collectives.json beside it.
class SplitExperiment {
 public:
  explicit SplitExperiment(std::string_view name) : folder_(name) {
    write("parts/model.json", small_model);
    write("parts/cluster.json", small_cluster_head + "\n\"gpu\": \"gpus/gpu.json\",\n\"collectives\": \"../parts/collectives.json\"}");
    write("parts/gpus/gpu.json", small_gpu);
    write("parts/collectives.json", small_collectives);
    write("experiment.json", small_experiment("\"parts/model.json\"", "\"parts/cluster.json\""));
  }
  void write(const std::string& name, std::string_view text) const { (void)folder_.write(name, text); }
  [[nodiscard]] std::string path(const std::string& name = "experiment.json") const { return (folder_.path() / name).string(); }
  [[nodiscard]] Experiment load(const std::vector<std::string>& sets = {}) const { return load_experiment(path(), sets); }
  [[nodiscard]] std::string error(const std::vector<std::string>& sets = {}) const {
    try {
      (void)load(sets);
    } catch (const hw::ConfigError& error) {
      return error.what();
    }
    return "no error";
  }

 private:
  TemporaryFolder folder_;
};

const std::string shipped = std::string(FABRICAST_SOURCE_DIR) + "/configs/experiments/";

}  // namespace

TEST_CASE("the guide's experiment is what the guide says") {
  const Experiment experiment = load_experiment(shipped + "ep64_tp2.json");
  CHECK(experiment.name == "ep64_tp2");
  CHECK(experiment.model.layers == 16);
  CHECK(experiment.model.d_model == 4096);
  CHECK(experiment.model.n_heads == 32);
  CHECK(experiment.model.n_kv_heads == 32);
  CHECK(experiment.model.d_head == 128);
  CHECK(experiment.model.vocab_size == 51200);
  CHECK(experiment.model.max_sequence_length == 10000);
  CHECK(experiment.model.precision == hw::Precision::bf16);
  REQUIRE(experiment.model.moe);
  CHECK(experiment.model.moe->experts_per_layer == 64);
  CHECK(experiment.model.moe->top_k == 2);
  CHECK(experiment.model.moe->d_ff == 16384);
  CHECK(experiment.cluster.gpus() == 128);
  CHECK(experiment.cluster.node.nvlink_bandwidth == BytesPerSecond(450e9));
  CHECK(experiment.cluster.fabric.nic_bandwidth == BytesPerSecond(50e9));
  CHECK(experiment.cluster.fabric.kind == hw::FabricKind::rail_optimized);
  CHECK(experiment.workload.sequences * experiment.workload.sequence_length == 1'280'000);
  CHECK(experiment.strategy.tensor == 2);
  CHECK(experiment.strategy.expert == 64);
  CHECK(experiment.routing.distribution == strategy::RoutingDistribution::uniform);
}

TEST_CASE("every shipped experiment loads") {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(shipped)) {
    CAPTURE(entry.path().string());
    CHECK_NOTHROW((void)load_experiment(entry.path()));
    ++count;
  }
  CHECK(count >= 6);
}

TEST_CASE("an experiment in one file and one in five say the same") {
  const SplitExperiment split("say_the_same");
  split.write("inline.json", small_experiment());
  const Experiment a = split.load();
  const Experiment b = load_experiment(split.path("inline.json"));
  CHECK(a.model.d_ff == b.model.d_ff);
  CHECK(a.model.moe->experts_per_layer == b.model.moe->experts_per_layer);
  CHECK(a.cluster.gpu.memory == b.cluster.gpu.memory);
  CHECK(a.cluster.collectives.network_efficiency == b.cluster.collectives.network_efficiency);
  CHECK(a.strategy.expert == b.strategy.expert);
}

TEST_CASE("an experiment without routing is uniform with seed 1") {
  const SplitExperiment split("no_routing");
  split.write("experiment.json", replaced(small_experiment(), ",\n\"routing\": { \"distribution\": \"uniform\", \"seed\": 1 }", ""));
  CHECK(split.load().routing.distribution == strategy::RoutingDistribution::uniform);
  CHECK(split.load().routing.seed == 1);
}

TEST_CASE("a strategy may be a file of its own") {
  const SplitExperiment split("strategy_file");
  split.write("experiment.json", replaced(small_experiment(), "{ \"tensor\": 2, \"expert\": 4 }", "\"parts/strategy.json\""));
  split.write("parts/strategy.json", "{\"tensor\": 2, \"expert\": 4, \"overlap\": {\"chunks\": 2}}");
  CHECK(split.load().strategy.overlap_chunks == 2);
  CHECK(split.load({"strategy.overlap.chunks=3"}).strategy.overlap_chunks == 3);
}

TEST_CASE("an error in a named file has that file's name, line and pointer") {
  const SplitExperiment split("named_file");
  split.write("parts/model.json", replaced(small_model, "\"vocab_size\": 128", "\"vocab_size\": \"128\""));
  CHECK(split.error() == split.path("parts/model.json") +
                             ":2: /vocab_size: \"128\": must be an integer from 1 to 268435456, but is a string; write 128 without quotes");
  split.write("parts/model.json", small_model);
  split.write("parts/gpus/gpu.json", replaced(small_gpu, "\"memory\": \"80 GiB\"", "\"memory\": \"80 gib\""));
  CHECK(contains(split.error(),
                 split.path("parts/gpus/gpu.json") + ":3: /memory: \"80 gib\": unknown unit \"gib\"; did you mean \"GiB\"?"));
  split.write("parts/gpus/gpu.json", "{\n\"name\" \"g\"}");
  CHECK(contains(split.error(), split.path("parts/gpus/gpu.json") + ":2: not JSON"));
}

TEST_CASE("a file that cannot be read is an error where it is named") {
  const SplitExperiment split("cannot_be_read");
  std::filesystem::remove(split.path("parts/model.json"));
  CHECK(split.error() == split.path() + ":3: /model: \"parts/model.json\": " + split.path("parts/model.json") +
                             ": cannot be read: No such file or directory; the path is relative to " +
                             std::filesystem::path(split.path()).parent_path().string());
  split.write("experiment.json", small_experiment("\"parts\"", "\"parts/cluster.json\""));
  CHECK(contains(split.error(), "it is a directory"));
  split.write("experiment.json", small_experiment("\"\"", "\"parts/cluster.json\""));
  CHECK(contains(split.error(), ":3: /model: \"\": names no file"));
  CHECK_THROWS_AS((void)load_experiment(split.path("missing.json")), hw::ConfigError);
}

TEST_CASE("files that name each other or hold no object are errors, not endless") {
  const SplitExperiment split("cycle");
  split.write("experiment.json", small_experiment("\"experiment.json\"", "\"experiment.json\""));
  CHECK(contains(split.error(), split.path() + ":1: the key \"layers\" is missing"));
  split.write("parts/model.json", "\"other.json\"");
  split.write("experiment.json", small_experiment("\"parts/model.json\"", "\"parts/cluster.json\""));
  CHECK(contains(split.error(), split.path("parts/model.json") + ":1: \"other.json\": must be an object"));
  split.write("experiment.json", "[]");
  CHECK(split.error() == split.path() + ":1: must be an object, but is an array");
}

TEST_CASE("--set changes values of the experiment and of the files that it names") {
  const SplitExperiment split("set_values");
  const Experiment experiment = split.load({"workload.sequences=256", "routing.distribution=zipf", "cluster.gpu.memory=64 GiB",
                                            "model.moe.top_k=3", "cluster.nodes=4", "name=\"quoted\""});
  CHECK(experiment.workload.sequences == 256);
  CHECK(experiment.routing.distribution == strategy::RoutingDistribution::zipf);
  CHECK(experiment.cluster.gpu.memory == Bytes(std::int64_t{64} << 30));
  CHECK(experiment.model.moe->top_k == 3);
  CHECK(experiment.name == "quoted");
}

TEST_CASE("--set may give an optional key that no file has") {
  const SplitExperiment split("set_optional");
  CHECK(split.load({"strategy.overlap={\"chunks\": 4}"}).strategy.overlap_chunks == 4);
  CHECK(split.load({"strategy.expert_placement=replicated"}).strategy.expert_placement == strategy::ExpertPlacement::replicated);
  CHECK(!split.load({"model.causal=false"}).model.causal);
  CHECK(split.load({"strategy.axis_order=[\"tensor\",\"data\",\"context\",\"pipeline\"]", "strategy.axis_order.1=context",
                    "strategy.axis_order.2=data"})
            .strategy.axis_order[1] == ir::Axis::context);
}

TEST_CASE("the last of several --set for one key counts") {
  const SplitExperiment split("set_twice");
  CHECK(split.load({"workload.sequences=256", "workload.sequences=64"}).workload.sequences == 64);
  CHECK(split.load({"workload={\"sequences\": 8, \"sequence_length\": 16}", "workload.sequences=64"}).workload.sequence_length == 16);
}

TEST_CASE("--set names files relative to the experiment, and replaces a file that is missing") {
  const SplitExperiment split("set_file");
  split.write("other/model.json", replaced(small_model, "\"name\": \"m\"", "\"name\": \"other\""));
  split.write("other/gpu.json", replaced(small_gpu, "80 GiB", "64 GiB"));
  CHECK(split.load({"model=other/model.json"}).model.name == "other");
  CHECK(split.load({"model=other/model.json", "model.layers=2"}).model.layers == 2);
  CHECK(split.load({"cluster.gpu=other/gpu.json"}).cluster.gpu.memory == Bytes(std::int64_t{64} << 30));
  std::filesystem::remove(split.path("parts/model.json"));
  CHECK(split.load({"model=other/model.json"}).model.name == "other");
  CHECK(contains(split.error({"model=none.json"}), "--set model=none.json: /model: \"none.json\": "));
}

TEST_CASE("--set reaches into objects that the files leave out") {
  const SplitExperiment split("set_default");
  CHECK(split.load({"strategy.algorithms.tensor=ring", "strategy.algorithms.expert=flat"}).strategy.algorithms.tensor ==
        hw::CollectiveAlgorithm::ring);
  CHECK(split.load({"strategy.overlap.chunks=2"}).strategy.overlap_chunks == 2);
  CHECK(contains(split.error({"strategy.overlap.chunks=0"}), "--set strategy.overlap.chunks=0: /strategy/overlap/chunks: 0: is out of range"));
}

TEST_CASE("a bad --set is an error that begins with it") {
  const SplitExperiment split("set_bad");
  CHECK(split.error({"workload.sequences=0"}) ==
        "--set workload.sequences=0: /workload/sequences: 0: is out of range; it must be an integer from 1 to 4294967296");
  CHECK(split.error({"workload.sequencs=5"}) ==
        "--set workload.sequencs=5: /workload/sequencs: unknown key \"sequencs\"; did you mean \"sequences\"?");
  CHECK(split.error({"worklod.sequences=5"}) ==
        "--set worklod.sequences=5: /worklod: unknown key \"worklod\"; did you mean \"workload\"?");
  CHECK(contains(split.error({"strategy.algorithms.tensr=ring"}), "/strategy/algorithms/tensr: unknown key \"tensr\"; did you mean \"tensor\"?"));
  CHECK(contains(split.error({"workload.sequences.first=5"}), "no \"first\" in " + split.path() + ":"));
  CHECK(contains(split.error({"workload.sequences.first=5"}), "which is an integer; shorten the path"));
  CHECK(contains(split.error({"workload.sequences"}), "--set workload.sequences: has no value"));
  CHECK(contains(split.error({"=5"}), "--set =5: the path has an empty key"));
  CHECK(contains(split.error({"workload..x=5"}), "the path has an empty key"));
  CHECK(contains(split.error({"strategy.overlap={\"chunks\": }"}), "--set strategy.overlap={\"chunks\": }:1: not JSON"));
  CHECK(contains(split.error({"strategy.overlap={\"chunks\": 2, \"chunks\": 3}"}), "duplicate key"));
  CHECK(contains(split.error({"workload.sequences=99999999999999999999"}), "64-bit range"));
  CHECK(contains(split.error({"cluster.gpu.memory=64 GIB"}), "did you mean \"GiB\"?"));
  CHECK(contains(split.error({"name=true"}), "must be a string"));
}

// 2^32 sequences of 2^32 tokens are 1.8e19 > 2^53; 2^32 · 128 tokens · top-2 · 2^28 logits · 4 B > 2^62
TEST_CASE("values that contradict each other across files are errors at the one to change") {
  const SplitExperiment split("cross_checks");
  CHECK(contains(split.error({"workload.sequence_length=257"}),
                 "/workload/sequence_length: 257: exceeds the model's max_sequence_length 256"));
  CHECK(split.error({"workload.sequence_length=256"}) == "no error");
  CHECK(contains(split.error({"model.max_sequence_length=4294967296", "workload.sequence_length=4294967296",
                              "workload.sequences=4294967296"}),
                 "makes 1.84e+19 tokens a step"));
  CHECK(contains(split.error({"model.vocab_size=268435456", "workload.sequences=4294967296"}), "bytes; at most 2^62 can be counted"));
  CHECK(contains(split.error({"model.layers=16384", "workload.micro_batches=65"}), "/workload: layers 16384"));
  CHECK(contains(split.error({"cluster.memory_reserve=80 GiB"}), "leaves nothing of the GPU's memory"));
}

TEST_CASE("an error that knows only the key gets file, line and value") {
  const SplitExperiment split("rethrow");
  const Experiment experiment = split.load({"strategy.data=3"});
  const auto place = [&](const std::string& pointer) -> std::string {
    try {
      validation::rethrow_with_place(hw::ConfigError("wrong; right would be 4", pointer), experiment.document);
    } catch (const hw::ConfigError& error) {
      return error.what();
    }
  };
  CHECK(place("/strategy/expert") == split.path() + ":6: /strategy/expert: 4: wrong; right would be 4");
  CHECK(place("/strategy/data") == "--set strategy.data=3: /strategy/data: 3: wrong; right would be 4");
  CHECK(place("/model/n_heads") == split.path("parts/model.json") + ":2: /n_heads: 8: wrong; right would be 4");
  CHECK(place("/cluster/gpu/gemm/tiles/0/rows") ==
        split.path("parts/gpus/gpu.json") + ":5: /gemm/tiles/0/rows: 128: wrong; right would be 4");
  CHECK(place("/strategy/tensr") == split.path() + ":6: /strategy/tensr: wrong; right would be 4");
  CHECK(place("/strategy/overlap/chunks") == split.path() + ":6: /strategy/overlap/chunks: wrong; right would be 4");
  CHECK(place("/nowhere") == split.path() + ":1: /nowhere: wrong; right would be 4");
  CHECK(place("") == "wrong; right would be 4");
}

}  // namespace fabricast::experiment_test
