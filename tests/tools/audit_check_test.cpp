// `fabricast audit` and `fabricast check` as other programs see them: exit codes and files.
#include <doctest/doctest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/temporary_folder.hpp"
#include "tests/tools/run_fabricast.hpp"

namespace fabricast::audit_check_test {

namespace fs = std::filesystem;
using fabricast::tests::Ran;
using fabricast::tests::run_fabricast;
using fabricast::tests::TemporaryFolder;
using fabricast::tests::text_of;

namespace {

const std::string experiment = FABRICAST_SOURCE_DIR "/configs/experiments/mixtral_8x7b_ep8.json";

std::string claims(double tokens_per_second) {
  return R"({ "name": "c", "source": "s", "cases": { "a": { "experiment": ")" + experiment + R"(" } },
    "claims": [ { "id": "t", "statement": "s", "place": "p", "claimed": )" +
         std::to_string(tokens_per_second) + R"(, "within": 0.01,
                  "model": [ { "reading": "r", "expression": "a.tokens_per_second" } ] } ] })";
}

std::string baseline() {
  return R"({ "experiments": [ { "experiment": ")" + experiment + R"(",
    "metrics": { "tokens_per_second": { "value": 0, "relative": 0.01, "side": "both" } } } ] })";
}

}  // namespace

TEST_CASE("audit answers no, exit 1, where a claim is refuted, the claim's value alone decides") {
  const TemporaryFolder folder("audit_cli");
  const std::string file = folder.write("c.json", claims(1)).string(), json = (folder.path() / "a.json").string();
  const Ran refuted = run_fabricast("audit " + file + " --json " + json + " --markdown " + (folder.path() / "a.md").string());
  CHECK(refuted.code == 1);
  CHECK(refuted.err.empty());
  CHECK(refuted.out.find("does not hold") != std::string::npos);
  CHECK(text_of(folder.path() / "a.md").find("| s | ") != std::string::npos);
  const auto claim = nlohmann::json::parse(text_of(json)).at("claims").at(0);
  CHECK(claim.at("verdict") == "does_not_hold");
  const Ran held = run_fabricast("audit --json - " + folder.write("c.json", claims(claim.at("model"))).string());
  CHECK(held.code == 0);
  CHECK(nlohmann::json::parse(held.out).at("claims").at(0).at("verdict") == "holds");
  CHECK(run_fabricast("audit no_such_file.json").code == 2);
}

TEST_CASE("check passes after --update, and fails with the op named when its cost model is slowed") {
  const TemporaryFolder folder("check_cli");
  const std::string file = folder.write("b.json", baseline()).string(), junit = (folder.path() / "j.xml").string();
  CHECK(run_fabricast("check " + file + " -q").code == 1);  // 0 tokens/s
  CHECK(run_fabricast("check " + file + " -q --update").code == 0);
  const std::string updated = text_of(file);
  CHECK(run_fabricast("check " + file + " -q --update").code == 0);
  CHECK(text_of(file) == updated);
  CHECK(run_fabricast("check " + file).code == 0);
  const Ran slowed = run_fabricast("check " + file + " --set cluster.gpu.attention.sustained=0.4 --junit " + junit);
  CHECK(slowed.code == 1);
  CHECK(slowed.out.find("attention (computation) +") != std::string::npos);
  CHECK(slowed.out.find("expert_gate_up") == std::string::npos);
  CHECK(text_of(junit).find("<failure") != std::string::npos);
  CHECK(text_of(file) == updated);
}

TEST_CASE("check --against holds predictions to another revision's reports, and appends to the step summary of a CI job") {
  const TemporaryFolder folder("check_against");
  const std::string file = folder.write("b.json", baseline()).string(), base = (folder.path() / "base").string();
  const std::string step_summary = folder.write("summary.md", "before\n").string();
  CHECK(run_fabricast("check " + file + " -q --reports " + base).code == 1);
  CHECK(fs::exists(base + "/mixtral_8x7b_ep8.json"));
  CHECK(run_fabricast("check " + file + " -q --against " + base).code == 0);
  const Ran slowed = run_fabricast("check " + file + " -q --against " + base + " --set cluster.gpu.attention.sustained=0.4",
                                   "GITHUB_STEP_SUMMARY='" + step_summary + "'");
  CHECK(slowed.code == 1);
  CHECK(text_of(step_summary).find("before\n### Predicted performance: 1 of 1 metrics regressed") == 0);
  fs::remove(base + "/mixtral_8x7b_ep8.json");
  const Ran fresh = run_fabricast("check " + file + " --against " + base);
  CHECK(fresh.code == 0);
  CHECK(fresh.out.find("new") != std::string::npos);
  CHECK(run_fabricast("check " + file + " --against " + file).code == 2);
  CHECK(run_fabricast("check " + file + " --update --against " + base).code == 2);
}

}  // namespace fabricast::audit_check_test
