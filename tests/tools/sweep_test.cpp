// `fabricast sweep` as schedulers of jobs see it: its file, what is left of it after a kill, shards.
#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/temporary_folder.hpp"
#include "tests/tools/run_fabricast.hpp"

namespace fabricast::sweep_test {

using tests::Ran;
using tests::run_fabricast;
using tests::TemporaryFolder;
using tests::text_of;

namespace {

const std::string experiment = FABRICAST_SOURCE_DIR "/configs/experiments/mixtral_8x7b_ep8.json";

/// Eight points, of which tensor 3 cannot be.
std::string sweep_file(const TemporaryFolder& folder, const std::string& tensors = "[1, 2, 3, 4]") {
  return folder
      .write("sweep.json", R"({ "experiment": ")" + experiment + R"(", "zip": [{ "strategy.expert_tensor": [1] }], "set": { "workload.sequence_length": [512, 1024], "strategy.tensor": )" + tensors + "} }")
      .string();
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

/// Without the one field that differs from run to run.
std::vector<nlohmann::json> results_of(const std::string& text) {
  std::vector<nlohmann::json> results;
  for (const std::string& line : lines_of(text)) {
    results.push_back(nlohmann::json::parse(line));
    if (results.back().contains("report")) results.back()["report"]["engine"].erase("wall_seconds");
  }
  return results;
}

std::string in(const TemporaryFolder& folder, const std::string& name) { return (folder.path() / name).string(); }

}  // namespace

TEST_CASE("a sweep writes a line per point in the grid's order, the same whatever the threads and shards") {
  const TemporaryFolder folder("sweep_same");
  const std::string sweep = "sweep " + sweep_file(folder);
  const Ran ran = run_fabricast(sweep + " --threads 1 --out " + in(folder, "one"));
  CHECK(ran.code == 0);
  CHECK(ran.err.empty());
  CHECK(ran.out.find("8 points (0 taken from the file), 2 that the configuration forbids") != std::string::npos);
  const auto one = results_of(text_of(folder.path() / "one"));
  REQUIRE(one.size() == 8);
  CHECK(one[0]["set"] == nlohmann::json({{"workload.sequence_length", 512}, {"strategy.tensor", 1}, {"strategy.expert_tensor", 1}}));
  CHECK(one[1]["set"]["strategy.tensor"] == 2);
  CHECK(one[2]["error"].get<std::string>().find("tensor") != std::string::npos);
  CHECK(one[7]["set"]["workload.sequence_length"] == 1024);

  REQUIRE(run_fabricast(sweep + " --threads 4 -q --out " + in(folder, "four")).code == 0);
  CHECK(results_of(text_of(folder.path() / "four")) == one);

  std::string parts;
  for (const std::string shard : {"1", "2", "3"}) {
    REQUIRE(run_fabricast(sweep + " -q --shard " + shard + "/3 --out " + in(folder, "part" + shard)).code == 0);
    parts += text_of(folder.path() / ("part" + shard));
  }
  folder.write("all", parts);
  CHECK(results_of(parts) != one);
  CHECK(run_fabricast(sweep + " --out " + in(folder, "all")).out.find("8 points (8 taken from the file)") != std::string::npos);
  CHECK(results_of(text_of(folder.path() / "all")) == one);
}

TEST_CASE("a line's report is what simulate writes for the same settings") {
  const TemporaryFolder folder("sweep_simulate");
  REQUIRE(run_fabricast("sweep " + sweep_file(folder) + " -q --out " + in(folder, "out")).code == 0);
  nlohmann::json simulated =
      nlohmann::json::parse(run_fabricast("simulate " + experiment + " --json - --set workload.sequence_length=512 --set strategy.tensor=2 "
                                                  "--set strategy.expert_tensor=1").out);
  simulated["engine"].erase("wall_seconds");
  CHECK(results_of(text_of(folder.path() / "out"))[1]["report"] == simulated);
}

TEST_CASE("what a kill left behind is gone on from: whole lines are kept to the byte, the cut one is made again") {
  const TemporaryFolder folder("sweep_resume");
  const std::string sweep = "sweep " + sweep_file(folder) + " --out " + in(folder, "out");
  REQUIRE(run_fabricast(sweep).code == 0);
  const std::string whole = text_of(folder.path() / "out");
  const auto lines = lines_of(whole);
  for (const std::size_t cut : {std::size_t{0}, std::size_t{1}, lines[0].size(), lines[0].size() + 1, whole.size() - 1}) {
    CAPTURE(cut);
    folder.write("out", whole.substr(0, cut));
    const auto kept = std::count(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(cut), '\n');
    CHECK(run_fabricast(sweep).out.find("(" + std::to_string(kept) + " taken from the file)") != std::string::npos);
    const std::string again = text_of(folder.path() / "out");
    CHECK(results_of(again) == results_of(whole));
    for (std::size_t i = 0; i < static_cast<std::size_t>(kept); ++i) CHECK(lines_of(again)[i] == lines[i]);
  }
}

TEST_CASE("a sweep that is killed at any moment can be resumed") {
  const TemporaryFolder folder("sweep_kill");
  const std::string out = in(folder, "out"), file = sweep_file(folder, "[1, 2, 4, 8]");
  for (const std::string milliseconds : {"0.03", "0.06", "0.1"}) {
    const std::string killed = "timeout -s INT " + milliseconds + " '" FABRICAST_BINARY "' sweep " + file + " -q --out " + out + " 2>/dev/null";
    (void)!std::system(killed.c_str());
  }
  REQUIRE(run_fabricast("sweep " + file + " --out " + out).code == 0);
  REQUIRE(run_fabricast("sweep " + file + " -q --out " + in(folder, "whole")).code == 0);
  CHECK(results_of(text_of(out)) == results_of(text_of(folder.path() / "whole")));
}

TEST_CASE("points of a changed experiment are forecast anew, and the lines of others are kept") {
  const TemporaryFolder folder("sweep_changed");
  const std::string sweep = "sweep " + sweep_file(folder) + " --out " + in(folder, "out");
  REQUIRE(run_fabricast(sweep).code == 0);
  const std::string before = text_of(folder.path() / "out");
  CHECK(run_fabricast(sweep + " --set cluster.gpu.memory_bandwidth='3 TB/s'").out.find("(0 taken from the file)") != std::string::npos);
  const std::string after = text_of(folder.path() / "out");
  CHECK(after.substr(0, before.size()) == before);
  CHECK(lines_of(after).size() == 16);
  CHECK(run_fabricast(sweep + " --fidelity bound").out.find("(0 taken from the file)") != std::string::npos);
  CHECK(run_fabricast(sweep).out.find("(8 taken from the file)") != std::string::npos);
}

TEST_CASE("a sweep that cannot be carried out is one line, exit 2, and leaves the file alone") {
  const TemporaryFolder folder("sweep_fault");
  const std::string file = sweep_file(folder), out = " --out " + in(folder, "out");
  const auto complains = [&](const std::string& arguments, const std::string& part) {
    CAPTURE(arguments);
    const Ran ran = run_fabricast("sweep " + arguments);
    CHECK(ran.code == 2);
    CHECK(ran.out.empty());
    CHECK(std::count(ran.err.begin(), ran.err.end(), '\n') == 1);
    CHECK_MESSAGE(ran.err.find(part) != std::string::npos, ran.err);
  };
  complains(file, "--out");
  complains(file + " --out " + folder.path().string(), "cannot write");
  complains(file + " --out /dev/null", "no regular file");
  complains(file + out + " --shard 0/3", "count from 1");
  complains(file + out + " --shard 4/3", "no such shard");
  complains(file + out + " --shard 1/3x", "--shard");
  complains(file + out + " --threads 0", "--threads");
  complains(file + out + " --set workload.sequnces=3", "did you mean \"sequences\"?");
  complains("no/such.json" + out, "no/such.json");
  CHECK_FALSE(std::filesystem::exists(folder.path() / "out"));
  folder.write("out", "something else\n");
  complains(file + out, "line 1");
  CHECK(text_of(folder.path() / "out") == "something else\n");
}

}  // namespace fabricast::sweep_test
