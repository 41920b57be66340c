// `fabricast search` as other programs see it.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "tests/temporary_folder.hpp"
#include "tests/tools/run_fabricast.hpp"

namespace fabricast::search_cli_test {

using tests::Ran;
using tests::run_fabricast;
using tests::TemporaryFolder;
using tests::text_of;

namespace {

std::string search_file(const TemporaryFolder& folder, const std::string& more = "") {
  return folder
      .write("search.json", R"({ "experiment": ")" FABRICAST_SOURCE_DIR R"(/configs/experiments/mixtral_8x7b_ep8.json", "top": 3,
        "space": { "overlap": ["none"], "expert_input": ["sequence_sharded"], "micro_batches": [1], "virtual_pipeline": [1], "pipeline": [1] })" +
                                more + " }")
      .string();
}

}  // namespace

TEST_CASE("search writes a winner that simulate forecasts the same, and ranks by tokens per second") {
  const TemporaryFolder folder("search_cli");
  const std::string json = (folder.path() / "s.json").string(), best = (folder.path() / "best.json").string();
  const Ran ran = run_fabricast("search " + search_file(folder) + " --json " + json + " --write " + best);
  CHECK(ran.code == 0);
  CHECK(ran.err.empty());
  CHECK(ran.out.find("speed-up") != std::string::npos);
  const auto result = nlohmann::json::parse(text_of(json));
  CHECK(result["schema"] == "fabricast.search/1");
  REQUIRE(result["best"].size() == 3);
  CHECK(result["best"][0]["report"]["tokens_per_second"] >= result["best"][1]["report"]["tokens_per_second"]);
  CHECK(result["best"][0]["speedup"].get<double>() >= 1.0);   // the baseline is in the space
  auto simulated = nlohmann::json::parse(run_fabricast("simulate " + best + " --json -").out), found = result["best"][0]["report"];
  CHECK(simulated["experiment"] == "mixtral_8x7b_ep8_best");
  for (auto* report : {&simulated, &found}) {
    report->erase("experiment");
    (*report)["engine"].erase("wall_seconds");
  }
  CHECK(simulated == found);
  CHECK(run_fabricast("search " + search_file(folder) + " --threads 1").out == run_fabricast("search " + search_file(folder) + " --threads 3").out);
}

TEST_CASE("search answers no, exit 1, where nothing fits, and leaves no experiment behind") {
  const TemporaryFolder folder("search_cli_none");
  const std::string best = (folder.path() / "best.json").string();
  const Ran ran = run_fabricast("search " + search_file(folder, R"(, "memory_limit": "7 GiB")") + " --write " + best);
  CHECK(ran.code == 1);
  CHECK(ran.out.find("Nothing fits in 7.000 GiB") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(best));
  const Ran fault = run_fabricast("search " + search_file(folder, R"(, "spce": {})"));
  CHECK(fault.code == 2);
  CHECK(fault.out.empty());
  CHECK(fault.err.find("did you mean \"space\"?") != std::string::npos);
}

}  // namespace fabricast::search_cli_test
