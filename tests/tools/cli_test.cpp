// The command line as other programs see it: exit codes, streams and files.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>

namespace fabricast::cli_test {

namespace fs = std::filesystem;

namespace {

std::string read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

/// A directory of its own for each test, gone afterwards.
class Directory {
 public:
  Directory() {
    std::string name = (fs::temp_directory_path() / "fabricast_cli_XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~Directory() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  [[nodiscard]] std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  [[nodiscard]] const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

struct Ran { int code; std::string out, err; };

/// Runs in the source directory through the shell, so that arguments may redirect.
Ran fabricast(const std::string& arguments) {
  const Directory directory;
  const std::string out = directory / "out", err = directory / "err";
  const std::string command =
      "cd '" FABRICAST_SOURCE_DIR "' && { { '" FABRICAST_BINARY "' " + arguments + "; }; } >'" + out + "' 2>'" + err + "'";
  const int status = std::system(command.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read(out), read(err)};
}

/// Exit 2 with nothing on standard output and one line on standard error that holds `part`.
void check_input_at_fault(const std::string& arguments, const std::string& part) {
  CAPTURE(arguments);
  const Ran ran = fabricast(arguments);
  CHECK(ran.code == 2);
  CHECK(ran.out.empty());
  CHECK(std::count(ran.err.begin(), ran.err.end(), '\n') == 1);
  CHECK_MESSAGE(ran.err.find(part) != std::string::npos, ran.err);
}

const std::string small = "configs/experiments/mixtral_8x7b_ep8.json";

}  // namespace

TEST_CASE("help and version are results: standard output, exit 0, with a worked example each") {
  for (const std::string command : {"", "simulate ", "compare ", "describe ", "sweep ", "search ", "calibrate ", "validate ", "import ", "audit ", "check ", "execute ", "merge ", "bench-collective "}) {
    const Ran ran = fabricast(command + "--help");
    CHECK(ran.code == 0);
    CHECK(ran.err.empty());
    CHECK(ran.out.find("Example: ") != std::string::npos);
    CHECK(ran.out.find("fabricast " + command) != std::string::npos);
  }
  CHECK(fabricast("--version").out.rfind("fabricast ", 0) == 0);
}

TEST_CASE("a command line that cannot be carried out is one line with the remedy, exit 2") {
  check_input_at_fault("", "subcommand");
  check_input_at_fault("simulat " + small, "no command 'simulat', did you mean 'simulate'?");
  check_input_at_fault("--jsn x simulate " + small, "no option '--jsn'");
  check_input_at_fault("simulate", "experiment");
  check_input_at_fault("simulate " + small + " --jsno x", "no option '--jsno', did you mean '--json'?");
  check_input_at_fault("simulate --fidelty=flow " + small, "no option '--fidelty', did you mean '--fidelity'?");
  check_input_at_fault("simulate --hlep", "did you mean '--help'?");
  check_input_at_fault("simulate " + small + " " + small, "takes no further argument");
  check_input_at_fault("simulate " + small + " --fidelity flwo", "did you mean 'flow'?");
  check_input_at_fault("simulate " + small + " --interference offf", "did you mean 'off'?");
  check_input_at_fault("simulate " + small + " --set", "--set");
  check_input_at_fault("compare " + small + " --best workload.micro_batches", "--best takes KEY=VALUE");
  check_input_at_fault("compare " + small + " --best workload.micro_batches=1,,2", "empty");
}

TEST_CASE("a configuration at fault is one line with its place, exit 2") {
  check_input_at_fault("simulate no/such/file.json", "no/such/file.json");
  check_input_at_fault("simulate configs", "configs");
  check_input_at_fault("simulate " + small + " --set workload.sequnces=4", "sequences");
  check_input_at_fault("simulate " + small + " --set workload.sequences=-4", "-4");
  check_input_at_fault("simulate " + small + " --set strategy.tensor=3", "tensor");
  check_input_at_fault("describe " + small + " --set strategy.expert=7", "expert");
  check_input_at_fault("compare " + small + " --best workload.micro_batchs=1,2", "micro_batches");
}

TEST_CASE("what is beyond the simulator's range is the input's fault, exit 2") {
  check_input_at_fault("simulate " + small + " --set cluster.node.nvlink_bandwidth='1000000 TB/s'", "lower its bandwidth");
  const std::string dead_slow = R"( --set 'cluster.faults={"nvlinks": [{"node": 0, "gpu": 0, "bandwidth": 1e-9}]}')";
  check_input_at_fault("simulate " + small + dead_slow, "raise its bandwidth");
  const std::string weeks = " --set cluster.node.nvlink_bandwidth='1 MB/s' --set cluster.gpu.peak.bf16='0.001 GFLOP/s'";
  check_input_at_fault("simulate " + small + weeks, "53 days");
}

TEST_CASE("a routing file that cannot be read is told of with the key that names it") {
  check_input_at_fault("simulate " + small + R"( --set 'routing={"distribution": "file", "file": "none.csv"}')", "/routing/file: ");
}

TEST_CASE("two outputs never take one place") {
  const Directory directory;
  const std::string same = directory / "x.json";
  check_input_at_fault("simulate " + small + " --json " + same + " --trace " + directory.path().string() + "/./x.json", "--json and --trace");
  check_input_at_fault("simulate " + small + " --json - --trace -", "standard output");
  check_input_at_fault("describe " + small + " --json " + same + " --schedule " + same, "--json and --schedule");
  CHECK(fs::is_empty(directory.path()));
  CHECK(fabricast("compare " + small + " " + small + " --quiet --trace " + same).code == 0);
  CHECK(fs::exists(directory / "x.mixtral_8x7b_ep8.json"));
  CHECK(fs::exists(directory / "x.mixtral_8x7b_ep8.2.json"));
}

TEST_CASE("outputs that cannot be written are one line, exit 2, and leave nothing behind") {
  const Directory directory;
  check_input_at_fault("simulate " + small + " --json " + (directory / "no/such/x.json"), "cannot write");
  check_input_at_fault("simulate " + small + " --trace " + directory.path().string(), "cannot write");
  check_input_at_fault("simulate " + small + " --json ''", "cannot write");
  CHECK(fs::is_empty(directory.path()));
  const Ran full = fabricast("simulate " + small + " > /dev/full");
  CHECK(full.code == 2);
  CHECK(full.err.find("cannot write to standard output") != std::string::npos);
}

TEST_CASE("simulate writes a report and a trace that parse, and prints a summary") {
  const Directory directory;
  const Ran ran = fabricast("simulate " + small + " --json " + (directory / "r.json") + " --trace " + (directory / "t.json"));
  CHECK(ran.code == 0);
  CHECK(ran.err.empty());
  CHECK(ran.out.find("Where the time goes") != std::string::npos);
  CHECK(ran.out.find('\x1b') == std::string::npos);  // no terminal, no colour
  const auto report = nlohmann::json::parse(read(directory / "r.json"));
  CHECK(report.at("schema") == "fabricast.report/1");
  CHECK(report.at("tokens_per_second") > 0);
  const auto trace = nlohmann::json::parse(read(directory / "t.json"));
  CHECK(trace.at("traceEvents").size() > 100);
  CHECK(std::distance(fs::directory_iterator(directory.path()), fs::directory_iterator()) == 2);  // no temporary left
}

TEST_CASE("--trace - has standard output to itself") {
  CHECK(nlohmann::json::accept(fabricast("simulate " + small + " --trace -").out));
}

TEST_CASE("--json - has standard output to itself") {
  for (const std::string command : {"simulate ", "compare ", "describe "}) {
    const Ran ran = fabricast(command + small + " --json -");
    CHECK(ran.code == 0);
    CHECK(nlohmann::json::accept(ran.out));
  }
}

TEST_CASE("--quiet prints nothing, and a device as a file stays a device") {
  const Ran ran = fabricast("simulate --quiet " + small + " --json /dev/null");
  CHECK(ran.code == 0);
  CHECK(ran.out.empty());
  CHECK(ran.err.empty());
  CHECK(fs::is_character_file("/dev/null"));
}

TEST_CASE("an output that is a symbolic link keeps the link") {
  const Directory directory;
  fs::create_symlink("real.json", directory.path() / "link.json");
  CHECK(fabricast("simulate -q " + small + " --json " + (directory / "link.json")).code == 0);
  CHECK(fs::is_symlink(directory.path() / "link.json"));
  CHECK(nlohmann::json::accept(read(directory / "real.json")));
}

TEST_CASE("two runs differ in nothing but the wall clock") {
  const auto run = [](const std::string& more) {
    auto json = nlohmann::json::parse(fabricast("simulate " + small + " --json - " + more).out);
    json.at("engine").erase("wall_seconds");
    return json.dump();
  };
  CHECK(run("") == run(""));
  CHECK(run("") != run("--fidelity bound"));
  CHECK(run("") != run("--set workload.sequences=64"));
}

TEST_CASE("folding is reported, and without it the forecast is the same") {
  auto folded = nlohmann::json::parse(fabricast("simulate configs/experiments/ep64_tp2.json --json -").out);
  auto whole = nlohmann::json::parse(fabricast("simulate configs/experiments/ep64_tp2.json --no-folding --json -").out);
  CHECK(folded.at("folded").at("classes") < 128);
  CHECK_FALSE(whole.contains("folded"));
  CHECK(folded.at("engine").at("events") < whole.at("engine").at("events"));
  folded.erase("folded");
  for (nlohmann::json* report : {&folded, &whole}) report->erase("engine");
  CHECK(folded == whole);
}

TEST_CASE("memory that does not suffice is reported, and is a no only where it was asked") {
  const std::string tight = "simulate " + small + " --quiet --set cluster.gpu.memory='8 GiB'";
  CHECK(fabricast(tight).code == 0);
  CHECK(fabricast(tight + " --require-fit").code == 1);
  CHECK(fabricast("simulate " + small + " --quiet --require-fit").code == 0);
}

TEST_CASE("compare takes the best setting of the baseline and writes a trace per experiment") {
  const Directory directory;
  const Ran ran = fabricast("compare " + small + " " + small + " --best workload.micro_batches=1,2,1000000007 --json " +
                            (directory / "c.json") + " --trace " + (directory / "t.json"));
  CHECK(ran.code == 0);
  CHECK(ran.out.find("not possible") != std::string::npos);
  CHECK(ran.out.find("four of five from") != std::string::npos);   // by the profile's residuals
  const auto json = nlohmann::json::parse(read(directory / "c.json"));
  CHECK(json.at("schema") == "fabricast.comparison/1");
  REQUIRE(json.at("reports").size() == 2);
  const auto& sweep = json.at("baseline_sweep");
  REQUIRE(sweep.at("points").size() == 3);
  CHECK(sweep.at("points").at(2).contains("error"));
  const std::size_t best = sweep.at("best");
  CHECK(json.at("reports").at(0).at("tokens_per_second") == sweep.at("points").at(best).at("tokens_per_second"));
  CHECK(json.at("speedups").at(0) == 1.0);
  CHECK(fs::exists(directory / ("t." + json.at("baseline").get<std::string>() + ".json")));
}

TEST_CASE("describe lists every rank once and dumps the schedule") {
  const Directory directory;
  const Ran ran = fabricast("describe " + small + " --json - --schedule " + (directory / "s.json"));
  CHECK(ran.code == 0);
  const auto json = nlohmann::json::parse(ran.out);
  CHECK(json.at("schema") == "fabricast.description/1");
  CHECK(json.at("placement").size() == json.at("ranks"));
  CHECK(nlohmann::json::accept(read(directory / "s.json")));
}

// 16 nodes of 8; two of them have other GPUs, and one of the rest is slow.
TEST_CASE("describe tells what a cluster is made of and what is wrong with it") {
  const std::string worn = "describe configs/experiments/ep64_tp2_worn.json";
  const auto cluster = nlohmann::json::parse(fabricast(worn + " --json -").out).at("cluster");
  CHECK(cluster.at("spine_choice") == "ecmp");
  CHECK(cluster.at("leaves") == 8);
  std::int64_t gpus = 0;
  for (const auto& one : cluster.at("gpus")) gpus += one.at("count").get<std::int64_t>();
  CHECK(gpus == 128);
  CHECK(cluster.at("gpus").size() == 3);
  CHECK(cluster.at("other_nodes") == 2);
  CHECK(cluster.at("faults").at("nics") == 2);
  const std::string text = fabricast(worn).out;
  CHECK(text.find("1 x h100_sxm_80gb (1.1 times as slow)") != std::string::npos);
  CHECK(text.find("with 2 differing nodes, 1 slow GPU, 2 faulty NICs") != std::string::npos);
  CHECK(fabricast("describe " + small).out.find("faulty") == std::string::npos);
}

TEST_CASE("bench-collective prints a row per power of two, and the same as JSON") {
  const std::string command = "bench-collective all_reduce --cluster configs/clusters/h100_1x8.json --bytes 1MiB:4MiB";
  const Ran table = fabricast(command);
  CHECK(table.code == 0);
  CHECK(table.out.find("busbw") != std::string::npos);
  const Ran ran = fabricast(command + " --json -");
  CHECK(ran.code == 0);
  const auto json = nlohmann::json::parse(ran.out);
  CHECK(json.at("schema") == "fabricast.collective_bench/1");
  CHECK(json.at("members") == 8);
  REQUIRE(json.at("rows").size() == 3);
  for (std::size_t row = 0; row < 3; ++row) {
    CHECK(json.at("rows")[row].at("bytes") == 1048576 << row);
    CHECK(json.at("rows")[row].at("ratio_to_floor") >= 1.0);
  }
}

TEST_CASE("bench-collective reads every cluster that is shipped, those that name files for single nodes too") {
  for (const auto& file : fs::directory_iterator(fs::path(FABRICAST_SOURCE_DIR) / "configs/clusters")) {
    const Ran ran = fabricast("bench-collective all_reduce --group 0,1,2,3 --bytes 1MiB --cluster " + file.path().string());
    CHECK_MESSAGE(ran.code == 0, ran.err);
  }
}

TEST_CASE("bench-collective refuses what no collective can be in one line") {
  const std::string on_node = " --cluster configs/clusters/h100_1x8.json";
  check_input_at_fault("bench-collective all_reduce", "name the cluster");
  check_input_at_fault("bench-collective all_redcue" + on_node, "did you mean 'all_reduce'");
  check_input_at_fault("bench-collective all_reduce --bytes 0" + on_node, "1 B to 4 TiB");
  check_input_at_fault("bench-collective all_reduce --bytes 2MiB:1MiB" + on_node, "ends before it begins");
  check_input_at_fault("bench-collective all_reduce --group 0,8" + on_node, "is no number from 0 to 7");
  check_input_at_fault("bench-collective all_reduce --group 0,0" + on_node, "occurs twice");
  check_input_at_fault("bench-collective all_reduce --group 3" + on_node, "two or more");
  check_input_at_fault("bench-collective all_reduce --algorithm flat" + on_node, "does not run all_reduce");
  check_input_at_fault("bench-collective all_reduce --algorithm sharp --cluster configs/clusters/h100_16x8.json", "in_network_reduction");
  check_input_at_fault("bench-collective all_reduce --skew 1" + on_node, "other kinds have no skew");
  check_input_at_fault("bench-collective all_gather --top-k 2" + on_node, "move no tokens");
  check_input_at_fault("bench-collective all_to_all --experts 12" + on_node, "multiple of 8");
  check_input_at_fault("bench-collective all_to_all --top-k 9" + on_node, "1 to 8");
}

// `true` closes the pipe before the simulation writes to it.
TEST_CASE("a reader that goes away is no error") {
  CHECK(fabricast("simulate " + small + " --json -; echo $? >&2; } | { true").err == "0\n");
}

TEST_CASE("execute runs all 128 ranks for real and writes a report, a timeline and a trace by op id") {
  const Directory directory;
  const std::string json = directory / "r.json", trace = directory / "t.json", measured = directory / "m.jsonl";
  const Ran ran = fabricast("execute configs/experiments/ep64_tp2_tiny.json --steps 2 --warm-up 0 --set 'strategy.overlap={\"chunks\":2}' --json " +
                            json + " --trace " + trace + " --measured " + measured);
  CHECK_MESSAGE(ran.code == 0, ran.err);
  CHECK(ran.out.find("equal to the reference") != std::string::npos);
  const auto report = nlohmann::json::parse(read(json));
  CHECK(report.at("schema") == "fabricast.report/1");
  CHECK(report.at("source") == "measured");
  CHECK(report.at("ranks") == 128);
  CHECK(report.at("tokens_per_second") > 0);
  CHECK(report.at("numerics").at("passed") == true);
  CHECK(report.at("measured").at("timed_steps") == 2);
  CHECK(nlohmann::json::parse(read(trace)).at("otherData").at("source") == "measured");
  const std::string records = read(measured);
  const auto header = nlohmann::json::parse(records.substr(0, records.find('\n')));
  CHECK(std::count(records.begin(), records.end(), '\n') == header.at("ops").get<int>() + 1);
}

TEST_CASE("--print-launch starts the workers with the backend that was asked for") {
  const std::string eight = "execute configs/experiments/ep4_tp2_tiny.json --print-launch --backend ";
  if (fabricast(eight + "mpi").code == 2) return;   // built without the worker
  CHECK(fabricast(eight + "mpi").out.find("ep4_tp2_tiny.json --backend mpi ") != std::string::npos);
  const std::string on_cuda = fabricast(eight + "cuda --communication-ctas 8 --attention own").out;
  CHECK(on_cuda.find("ep4_tp2_tiny.json --backend cuda ") != std::string::npos);
  CHECK(on_cuda.find(" --attention own") != std::string::npos);
  check_input_at_fault(eight + "host", "no processes are started");
  check_input_at_fault(eight + "cuda --virtual-ranks", "no processes are started");
}

TEST_CASE("execute that is interrupted leaves no file") {
  const Directory directory;
  const Ran ran = fabricast("execute configs/experiments/ep4_tp2_tiny.json --steps 100000 --json " + (directory / "r.json") + " --trace " +
                            (directory / "t.json") + " --measured " + (directory / "m.jsonl") + " & sleep 2; kill $!; wait $!");
  CHECK(ran.code == 128 + SIGTERM);
  CHECK(fs::is_empty(directory.path()));
}

TEST_CASE("execute refuses what it cannot do in one line and leaves no file") {
  check_input_at_fault("execute", "needs an experiment file");
  check_input_at_fault("execute configs/experiments/ep64_tp2_tiny.json --steps 0", "--steps is 1 to 100000");
  check_input_at_fault("execute configs/experiments/ep64_tp2_tiny.json --backend gpu", "--backend is");
  check_input_at_fault("execute configs/experiments/ep64_tp2_tiny.json --virtual-ranks", "need --backend cuda");
  check_input_at_fault("execute configs/experiments/ep64_tp2_tiny.json --attention own", "need --backend cuda");
  const std::string on_cuda = "execute configs/experiments/ep64_tp2_tiny.json --backend cuda ";
  check_input_at_fault(on_cuda + "--virtual-ranks --slice 3", "exclude each other");
  check_input_at_fault(on_cuda + "--virtual-ranks --attention cudn", "--attention is 'own' or 'cudnn', not 'cudn', did you mean 'cudnn'?");
  check_input_at_fault(on_cuda + "--slice 3 --traffic-ctas 8", "--traffic-ctas and --traffic-rate go together");
  check_input_at_fault(on_cuda + "--slice 3 --traffic-ctas 8 --traffic-rate fast", "--traffic-rate: ");
  check_input_at_fault(on_cuda + "--traffic-ctas 8 --traffic-rate '45 GB/s'", "--traffic-ctas is for --slice");
  const Directory directory;
  check_input_at_fault(on_cuda + "--slice 3 --json " + (directory / "r.json"), "a slice is no report of the job");
  check_input_at_fault("execute configs/experiments/ep64_tp2.json --no-check --json " + (directory / "r.json"), "GB together and this machine has");
  check_input_at_fault("execute configs/experiments/ep64_tp2.json --json " + (directory / "r.json"), "give --no-check");
  check_input_at_fault("execute configs/experiments/ep64_tp2_tiny.json --set model.precision=fp8 --json " + (directory / "r.json"), "fp8");
  CHECK(fs::is_empty(directory.path()));
}

TEST_CASE("--microbench times kernels and collectives of an experiment, as calibrate reads them") {
  const Directory directory;
  const std::string json = directory / "m.json";
  const Ran ran = fabricast("execute configs/experiments/ep4_tp2_tiny.json --microbench --repetitions 1 --json " + json);
  CHECK_MESSAGE(ran.code == 0, ran.err);
  CHECK(ran.out.find("all_to_all") != std::string::npos);
  const auto measured = nlohmann::json::parse(read(json));
  CHECK(measured.at("schema") == "fabricast.measurements/1");
  std::set<std::string> kinds;
  for (const auto& kernel : measured.at("kernels")) {
    kinds.insert(kernel.at("work").at("kind"));
    CHECK(kernel.at("concurrent") == 8);
    CHECK(kernel.at("seconds").at("median") > 0);
  }
  for (const char* kind : {"gemm", "grouped_gemm", "attention", "embedding", "rms_norm", "rope", "residual_add", "activation", "router", "permute",
                           "weighted_sum", "copy"}) {
    CHECK_MESSAGE(kinds.count(kind) == 1, kind);
  }
  CHECK(measured.at("collectives").size() > 3);
  CHECK(measured.at("launch").at("seconds").at("median") > 0);
  CHECK(measured.at("interference").at(0).at("beside_seconds") > 0);
  check_input_at_fault("execute --microbench --ranks 0", "--ranks is 1 to");
  check_input_at_fault("execute --microbench --trace " + (directory / "t.json"), "run no step");
  check_input_at_fault("execute --microbench --preflight", "give one of them");
  check_input_at_fault("execute --microbench --set model.layers=1", "was given none");
  check_input_at_fault("execute --microbench --device 1", "need --backend cuda");
  check_input_at_fault("execute --microbench --backend mpi", "--backend host or cuda");
  const std::string on_cuda = "execute --microbench --backend cuda ";
  check_input_at_fault(on_cuda + "--ranks 4", "a rank on a GPU is a process");
  check_input_at_fault(on_cuda + "--attention theirs", "--attention is 'own' or 'cudnn'");
  check_input_at_fault(on_cuda + "--slice 0", "leave --virtual-ranks, --slice");
  check_input_at_fault(on_cuda + "--traffic-ctas 8", "--traffic-ctas and --traffic-rate go together");
  check_input_at_fault(on_cuda + "--traffic-ctas 8 --traffic-rate '0 GB/s'", "--traffic-rate");
  check_input_at_fault(on_cuda + "--set model.layers=1", "was given none");
  check_input_at_fault(on_cuda + "--repetitions 0", "--repetitions is 1 to");
}

TEST_CASE("--preflight: a host without GPUs is told so, check by check, a node that answers well is ready") {
  const Directory directory;
  const std::string program = directory / "nvidia-smi", all_reduce = directory / "all_reduce_perf";
  const std::string preflight = "PATH=" + directory.path().string() + ":/usr/bin:/bin '" FABRICAST_BINARY "' execute --preflight -q --json -";
  // `false` stands for the driver of a machine that has none; whatever this machine has is out of sight.
  std::ofstream(program) << "#!/bin/sh\nexit 9\n";
  fs::permissions(program, fs::perms::owner_all);
  const Ran without = fabricast("--version >/dev/null; " + preflight);
  CHECK(without.code == 1);
  const auto checks = nlohmann::json::parse(without.out);
  CHECK(checks.at("ready") == false);
  for (const auto& check : checks.at("checks")) CHECK(check.at("why").get<std::string>().find("no GPU") == 0);

  std::ofstream(program) << "#!/bin/sh\ncase $1 in topo) printf 'GPU0\\t X \\tNV18\\nGPU1\\tNV18\\t X \\n';;\n"
                            "*) printf 'H100, 1, 0, 81559\\nH100, 1, 0, 81559\\n';; esac\n";
  std::ofstream(all_reduce) << "#!/bin/sh\necho 1024 256 float sum -1 10.0 200.0 350.0 0\n";
  fs::permissions(all_reduce, fs::perms::owner_all);
  const Ran with = fabricast("--version >/dev/null; " + preflight);
  CHECK(with.code == 0);
  const auto said = nlohmann::json::parse(with.out);
  for (const auto& check : said.at("checks")) CHECK(check.at("verdict") == "passed");
}

TEST_CASE("--preflight of the host needs no GPU, and asks for the memory of all ranks") {
  const Ran fits = fabricast("execute configs/experiments/ep4_tp2_tiny.json --preflight --backend host");
  CHECK_MESSAGE(fits.code == 0, fits.out);
  CHECK(fits.out.find("gpu_count") == std::string::npos);
  CHECK(fabricast("execute configs/experiments/ep64_tp2.json --preflight --backend host").code == 1);
}

}  // namespace fabricast::cli_test
