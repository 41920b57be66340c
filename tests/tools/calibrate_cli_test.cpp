// `fabricast calibrate`, `validate` and `import` as other programs see them: from a table of times to a forecast with error bars.
#include <doctest/doctest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "tests/temporary_folder.hpp"

namespace fabricast::calibrate_cli_test {

namespace fs = std::filesystem;
using fabricast::tests::TemporaryFolder;

namespace {

const std::string configs = FABRICAST_SOURCE_DIR "/configs/", published = FABRICAST_SOURCE_DIR "/validation/published/";

std::string read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

struct Ran {
  int code;
  std::string out, err;
};

Ran run_fabricast(const std::string& arguments) {
  const TemporaryFolder folder("calibrate_streams");
  const std::string out = (folder.path() / "out").string(), err = (folder.path() / "err").string();
  const int status = std::system(("'" FABRICAST_BINARY "' " + arguments + " >'" + out + "' 2>'" + err + "'").c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read(out), read(err)};
}

void check_input_at_fault(const std::string& arguments, const std::string& part) {
  CAPTURE(arguments);
  const Ran ran = run_fabricast(arguments);
  CHECK(ran.code == 2);
  CHECK(ran.out.empty());
  CHECK(std::count(ran.err.begin(), ran.err.end(), '\n') == 1);
  CHECK_MESSAGE(ran.err.find(part) != std::string::npos, ran.err);
}

}  // namespace

TEST_CASE("a profile fitted to a table is one that an experiment can name, and its forecasts have error bars") {
  const TemporaryFolder folder("calibrate_cli");
  const std::string profile = (folder.path() / "gpu.json").string();
  const Ran fit = run_fabricast("calibrate " + published + "gemm.csv --system h100_sxm --base " + configs + "gpus/h100_sxm_80gb.json --out " + profile);
  CHECK(fit.code == 0);
  CHECK(fit.out.find("gemm bf16") != std::string::npos);
  const auto document = nlohmann::json::parse(read(profile));
  CHECK(document.at("calibration").at("provenance").at("command").get<std::string>().find("--system h100_sxm") != std::string::npos);
  const Ran forecast = run_fabricast("simulate " + configs + "experiments/mixtral_8x7b_ep8.json --set cluster.gpu=" + profile + " --json -");
  REQUIRE(forecast.code == 0);
  const auto bar = nlohmann::json::parse(forecast.out).at("error_bar");
  CHECK(bar.at("low_seconds") < bar.at("high_seconds"));
  CHECK(bar.at("probability") == 0.8);
  CHECK_FALSE(bar.at("unknown").empty());
}

TEST_CASE("validate judges the committed set, as table, JSON and CSV") {
  const TemporaryFolder folder("validate_cli");
  const std::string csv = (folder.path() / "rows.csv").string(), options = " --configs " + configs + " --kind 'gemm bf16'";
  const Ran table = run_fabricast("validate " + published + options + " --csv " + csv);
  CHECK(table.code == 0);
  CHECK(table.out.find("h100_sxm  gemm bf16") != std::string::npos);
  const std::string rows = read(csv);
  CHECK(std::count(rows.begin(), rows.end(), '\n') == 81);   // a header, and 40 rows of two systems
  const Ran json = run_fabricast("validate " + published + options + " --json -");
  CHECK(nlohmann::json::parse(json.out).at("summary").size() == 2);
}

TEST_CASE("calibrate, validate and import refuse what they cannot use in one line") {
  const TemporaryFolder folder("refused_cli");
  const std::string table = folder.write("t.csv", "kind,m,n,k,precision,us\ngemm,64,512,512,bf16,nan\n").string();
  const std::string base = " --base " + configs + "gpus/h100_sxm_80gb.json", out = " --out " + (folder.path() / "out.json").string();
  check_input_at_fault("calibrate " + table + base + out, "is not finite");
  check_input_at_fault("calibrate " + table + out, "needs --base");
  check_input_at_fault("calibrate " + table + base, "needs --out");
  check_input_at_fault("calibrate " + published + "gemm.csv" + base + out, "choose one with --system");
  check_input_at_fault("validate " + table, "is not finite");
  check_input_at_fault("validate " + published + " --set a=1", "--set changes an experiment");
  check_input_at_fault("validate a.json b.json --trace t.jsonl", "--trace judges one experiment");
  check_input_at_fault("import nvidia-smi " + table, "did you mean 'nvidia-smi-topo'?");
  check_input_at_fault("import nvidia-smi-topo " + table, "name a cluster that does with --base");
  check_input_at_fault("import nccl-tests " + table, "t.csv: ");
  CHECK_FALSE(fs::exists(folder.path() / "out.json"));
}

}  // namespace fabricast::calibrate_cli_test
