#include "validation/audit.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <string>

#include "hardware_models/config_error.hpp"
#include "tests/temporary_folder.hpp"
#include "tests/validation/small_experiment.hpp"
#include "validation/forecast.hpp"

namespace fabricast::audit_test {

using namespace fabricast;
using namespace fabricast::validation;

namespace {

/// A report with what the claims below ask for.
PredictedCase made_up(const std::string& name, double tokens_per_second) {
  PredictedCase one{name, "made_up.json", {}, {}, {}};
  one.report.experiment = name;
  one.report.tokens_per_second = tokens_per_second;
  one.report.step = Seconds(0.5);
  one.report.links = {{"nvlink", {}}, {"infiniband", {}}};
  return one;
}

/// One claim about the cases "a" (1000 tokens/s) and "b" (2000 tokens/s); `rest` are its other keys.
std::string claims_file(const std::string& rest) {
  return R"({ "name": "n", "source": "s", "cases": { "a": { "experiment": "a.json" }, "b": { "experiment": "b.json" } },
              "quantities": { "ten": 10 },
              "claims": [ { "id": "other", "statement": "s", "place": "p", "claimed": 7, "within": 0, "missing": "everything" },
                          { "id": "one", "statement": "s", "place": "p", )" +
         rest + " } ] }";
}

ClaimSet claims_of(const std::string& rest) {
  const tests::TemporaryFolder folder("audit");
  return load_claims(folder.write("claims.json", claims_file(rest)));
}

JudgedClaim judged(const std::string& rest) { return judge(claims_of(rest), {made_up("a", 1000), made_up("b", 2000)}).claims.at(1); }

std::string complaint(const std::string& rest) {
  try {
    (void)judged(rest);
  } catch (const hw::ConfigError& error) {
    return error.what();
  }
  return "";
}

std::string model(const std::string& readings) { return R"("model": [)" + readings + "]"; }
const std::string of_a = R"({ "reading": "A", "expression": "a.tokens_per_second" })";
const std::string of_b = R"({ "reading": "B", "expression": "b.tokens_per_second" })";

}  // namespace

TEST_CASE("changing the value that is claimed flips the verdict, for every relation") {
  struct Case {
    std::string relation, true_value, false_value;
  };
  for (const Case& one :
       {Case{R"("within": 0.1)", "950", "850"}, Case{R"("rounding": 5)", "996", "994"}, Case{R"("relation": "less")", "1001", "1000"},
        Case{R"("relation": "at_most")", "1000", "999"}, Case{R"("relation": "more")", "999", "1000"},
        Case{R"("relation": "at_least")", "1000", "1001"}, Case{R"("relation": "between")", "[900, 1000]", "[1001, 2000]"}}) {
    CAPTURE(one.relation);
    CHECK(judged(one.relation + R"(, "claimed": )" + one.true_value + ", " + model(of_a)).verdict == Verdict::holds);
    CHECK(judged(one.relation + R"(, "claimed": )" + one.false_value + ", " + model(of_a)).verdict == Verdict::does_not_hold);
  }
}

TEST_CASE("readings that disagree cannot be judged: the publication would have to say which it means") {
  const JudgedClaim judgement = judged(R"("within": 0.1, "claimed": 1000, "format": "count", )" + model(of_a + ", " + of_b));
  CHECK(judgement.verdict == Verdict::cannot_be_judged);
  CHECK(judgement.why == "It holds for 1,000 (A), not for 2,000 (B). Missing: which of these is meant.");
}

TEST_CASE("a figure of its own that disagrees refutes a claim before the model is asked") {
  const std::string own = R"("own": [ { "reading": "ten others", "expression": "claims.other * ten" } ], )";
  const JudgedClaim no = judged(own + R"("within": 0, "claimed": 1000, )" + model(of_a));
  CHECK(no.verdict == Verdict::contradicts_itself);
  CHECK(no.why == "Its own figures: ten others: 7 * 10 = 70.");
  CHECK(judged(own + R"("within": 0, "claimed": 70, )" + model(of_a)).verdict == Verdict::does_not_hold);
  CHECK(judged(own + R"("within": 0, "claimed": 70, "missing": "")").verdict == Verdict::holds);
}

TEST_CASE("what a claim would need is worked out where it does not hold") {
  const std::string needs = R"("within": 0.1, "needs": [ "a step of {a.step_seconds * a.tokens_per_second / claimed:duration}" ], )";
  CHECK(judged(needs + R"("claimed": 500, )" + model(of_a)).needs == std::vector<std::string>{"a step of 1.000 s"});
  CHECK(judged(needs + R"("claimed": 1000, )" + model(of_a)).needs.empty());
}

TEST_CASE("an audit refutes where a claim does not hold or contradicts itself, not where it cannot be judged") {
  const auto refutes = [](const std::string& rest) {
    return judge(claims_of(rest), {made_up("a", 1000), made_up("b", 2000)}).refutes_any();
  };
  CHECK_FALSE(refutes(R"("within": 0.1, "claimed": 1000, )" + model(of_a)));
  CHECK_FALSE(refutes(R"("within": 0.1, "claimed": 1000, )" + model(of_a + "," + of_b)));
  CHECK(refutes(R"("within": 0.1, "claimed": 2, )" + model(of_a)));
  CHECK(refutes(R"("within": 0.1, "claimed": 2, "own": [ { "reading": "r", "expression": "3" } ])"));
}

TEST_CASE("mistakes in a claims file are one line with their place") {
  const auto says = [](const std::string& rest, const std::string& part) {
    const std::string text = complaint(rest);
    CHECK_MESSAGE(tests::contains(text, part), text);
    CHECK(tests::contains(text, "claims.json:"));
  };
  const auto expression = [](const std::string& text) {
    return R"("within": 0, "claimed": 1, "model": [ { "reading": "r", "expression": ")" + text + "\" } ]";
  };
  says(expression("a.tokens_per_secnd"), "did you mean 'tokens_per_second'?");
  says(expression("c.tokens_per_second"), "no case 'c'");
  says(expression("elevn"), "no quantity 'elevn'");
  says(expression("claims.othr"), "did you mean 'other'?");
  says(expression("1 +"), "column 4");
  says(R"("claimed": 1, "within": 0)", "nothing to be judged by");
  says(R"("claimed": 1, )" + model(of_a), "'equals' takes either");
  says(R"("claimed": 1, "relation": "less", "within": 0.1, )" + model(of_a), "'equals' takes either");
  says(R"("claimed": 1, "relation": "between", )" + model(of_a), "array");
  says(R"("claimed": [2, 1], "relation": "between", )" + model(of_a), "1");
  says(R"("claimed": 5000, "within": 0, "needs": [ "{1:duraton}" ], )" + model(of_a), "write {expression:format}");
  says(R"("claimed": 5000, "within": 0, "needs": [ "{1:share" ], )" + model(of_a), "write {expression:format}");
  says(R"("claimed": 1, "within": 0, "modl": [])", "modl");
}

TEST_CASE("text, Markdown and JSON carry value, model, verdict and arithmetic") {
  Audit audit = judge(claims_of(R"("within": 0.1, "claimed": 500, "format": "count", "unit": "tokens/s", )" + model(of_a)),
                      {made_up("a", 1000), made_up("b", 2000)});
  const std::string text = summary(audit, {});
  CHECK(tests::contains(text, "2 claims: 1 does not hold, 1 cannot be judged"));
  CHECK(tests::contains(text, "claimed 500 tokens/s, model 1,000 tokens/s"));
  const std::string markdown = to_markdown(audit);
  CHECK(tests::contains(markdown, "| s | 500 tokens/s | 1,000 tokens/s | does not hold | The model gives 1,000 tokens/s (A). |"));
  CHECK(tests::contains(markdown, "`a.tokens_per_second` = `1000` = 1,000 tokens/s"));
  const hw::JsonNode json = hw::parse_json_text(to_json(audit), "audit");
  const hw::JsonNode& claim = std::get<hw::JsonNode::Array>(json.find("claims")->value).at(1);
  for (const char* key : {"id", "statement", "claimed", "model", "verdict", "why"}) CHECK(claim.find(key) != nullptr);
  CHECK(std::get<std::string>(claim.find("verdict")->value) == "does_not_hold");
}

// At bound fidelity and without looking for the best settings: what counts here is that verdicts follow the values.
TEST_CASE("every claim of the guide that the model can judge holds at the model's value and not far from it") {
  ClaimSet set = load_claims(std::filesystem::path(FABRICAST_SOURCE_DIR) / "configs/claims/ep64_tp2_guide.json");
  CHECK(set.claims.size() >= 25);
  std::vector<PredictedCase> cases;
  for (const ClaimCase& one : set.cases) {
    const Experiment experiment = load_experiment(one.experiment, one.sets);
    const auto bound = sim::Fidelity::bound;
    cases.push_back({one.name, one.experiment.string(), {}, one.sets, summarize(experiment, forecast(experiment, {bound, false}), bound)});
  }
  const Audit first = judge(set, cases);
  std::vector<double> expected;
  std::vector<Claim> judgeable;
  for (const JudgedClaim& judged : first.claims) {
    if (judged.model.empty()) continue;
    expected.push_back(judged.model.front().value);
    judgeable.push_back(judged.claim);
  }
  const auto verdicts_at = [&](auto claimed_of) {
    set.claims = judgeable;
    for (std::size_t i = 0; i < set.claims.size(); ++i) {
      Claim& claim = set.claims[i];
      claim.own.clear();
      claim.model.resize(1);
      claim.relation = Relation::equals;
      claim.slack = 0;
      claim.claimed = claimed_of(expected[i]);
    }
    return judge(set, cases).claims;
  };
  for (const JudgedClaim& judged : verdicts_at([](double value) { return value; }))
    CHECK_MESSAGE(judged.verdict == Verdict::holds, judged.claim.id);
  for (const JudgedClaim& judged : verdicts_at([](double value) { return 2 * value + 1; })) {
    CHECK_MESSAGE(judged.verdict == Verdict::does_not_hold, judged.claim.id);
  }
}

}  // namespace fabricast::audit_test
