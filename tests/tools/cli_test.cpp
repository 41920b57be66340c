// The command line as other programs see it: exit codes, streams and files.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
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
  for (const std::string command : {"", "simulate ", "compare ", "describe ", "audit ", "check ", "execute ", "merge "}) {
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

TEST_CASE("execute refuses what it cannot do in one line and leaves no file") {
  check_input_at_fault("execute", "needs an experiment file");
  check_input_at_fault("execute configs/experiments/ep64_tp2_tiny.json --steps 0", "--steps is 1 to 100000");
  check_input_at_fault("execute configs/experiments/ep64_tp2_tiny.json --backend gpu", "--backend is");
  check_input_at_fault("execute configs/experiments/ep64_tp2_tiny.json --virtual-ranks", "need --backend cuda");
  const std::string on_cuda = "execute configs/experiments/ep64_tp2_tiny.json --backend cuda ";
  check_input_at_fault(on_cuda + "--virtual-ranks --slice 3", "exclude each other");
  check_input_at_fault(on_cuda + "--slice 3 --traffic-ctas 8", "--traffic-ctas and --traffic-rate go together");
  check_input_at_fault(on_cuda + "--slice 3 --traffic-ctas 8 --traffic-rate fast", "--traffic-rate: ");
  check_input_at_fault(on_cuda + "--traffic-ctas 8 --traffic-rate '45 GB/s'", "--traffic-ctas is for --slice");
  const Directory directory;
  check_input_at_fault(on_cuda + "--slice 3 --json " + (directory / "r.json"), "a slice is no report of the job");
  check_input_at_fault("execute configs/experiments/ep64_tp2.json --json " + (directory / "r.json"), "GB together and this machine has");
  check_input_at_fault("execute configs/experiments/ep64_tp2_tiny.json --set model.precision=fp8 --json " + (directory / "r.json"), "fp8");
  CHECK(fs::is_empty(directory.path()));
}

}  // namespace fabricast::cli_test
