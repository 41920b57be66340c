#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "validation/compare.hpp"
#include "validation/report.hpp"
#include "validation/summary.hpp"

namespace fabricast::report_json_test {

using namespace fabricast;
using namespace fabricast::validation;

namespace {

/// compute 6 + exposed 3 + idle 1 = 10 ms.
Report made_up(const std::string& name, double scale) {
  Report report;
  report.experiment = name;
  report.ranks = 8;
  report.nodes = 1;
  report.tokens_per_step = 1000;
  report.step = Seconds(0.010 * scale);
  report.tokens_per_second = 1000 / report.step.value();
  report.tokens_per_second_per_gpu = report.tokens_per_second / 8;
  report.seconds_per_token = report.step.value() / 1000;
  report.model_flop_per_step = Flop(1e12);
  report.peak = FlopPerSecond(1e15);
  report.mfu = 0.4;
  report.time = {Seconds(0.006 * scale), Seconds(0.004 * scale), Seconds(0.003 * scale), Seconds(0.001 * scale), Seconds(0.0005), 0.25};
  report.ops = {{"mlp", "gemm", 2, Seconds(0.006 * scale), Flop(1e12), 1e6}};
  report.collectives = {{"dispatch", "all_to_all", "expert", 2, 8, 1e6, Seconds(0.004), Seconds(0.002), 2.0, BytesPerSecond(1e9),
                         BytesPerSecond(1e9), Seconds(0.004 * scale), Seconds(0.003 * scale)}};
  report.links = {{"nvlink", {1e9, 0.1, 0.2}}, {"infiniband", {1e9, 0.3, 0.4}}, {"fabric", {}}};
  report.hottest_links = {{"nic \"0\"", 0.4, 1e9}};
  report.memory = {Rank{3}, Bytes(100), Bytes(200), true, {{"parameters", Bytes(60)}, {"activations", Bytes(40)}},
                   {{"expert_weights", Bytes(60)}}};
  report.floors = {Seconds(0.004), Seconds(0.005), Seconds(0.002), 2.0};
  report.events = 42;
  report.wall_seconds = 0.1;
  return report;
}

/// The contract: every field with its type. Written from the description of the command line, not from the writer.
void check_contract(const nlohmann::json& json) {
  CHECK(json.at("schema") == "fabricast.report/1");
  for (const char* key : {"experiment", "source", "fidelity", "phase"}) CHECK(json.at(key).is_string());
  for (const char* key : {"ranks", "nodes", "tokens_per_step"}) CHECK(json.at(key).is_number_integer());
  for (const char* key : {"step_seconds", "tokens_per_second", "tokens_per_second_per_gpu", "seconds_per_token", "model_flop_per_step",
                          "mfu"}) {
    CHECK(json.at(key).is_number());
  }
  for (const char* key : {"compute_busy_seconds", "communication_busy_seconds", "communication_exposed_seconds", "idle_seconds",
                          "overlap_fraction"}) {
    CHECK(json.at("time").at(key).is_number());
  }
  for (const auto& op : json.at("ops")) {
    for (const char* key : {"label", "kind"}) CHECK(op.at(key).is_string());
    for (const char* key : {"count", "busy_seconds", "flop", "bytes"}) CHECK(op.at(key).is_number());
  }
  for (const auto& collective : json.at("collectives")) {
    for (const char* key : {"label", "kind", "axis"}) CHECK(collective.at(key).is_string());
    for (const char* key : {"count", "bytes", "seconds", "floor_seconds", "ratio_to_floor"}) CHECK(collective.at(key).is_number());
  }
  for (const char* kind : {"nvlink", "infiniband"}) {
    for (const char* key : {"bytes", "mean_utilization", "max_utilization"}) CHECK(json.at("links").at(kind).at(key).is_number());
  }
  const auto& memory = json.at("memory");
  for (const char* key : {"peak_bytes", "capacity_bytes"}) CHECK(memory.at(key).is_number_integer());
  CHECK(memory.at("fits").is_boolean());
  for (const char* key : {"parameters", "activations"}) CHECK(memory.at("breakdown").at(key).is_number_integer());
  for (const char* key : {"imbalance", "variance"}) CHECK(json.at("expert_load").at(key).is_number());
  for (const char* key : {"compute_seconds", "network_seconds", "step_over_floor"}) CHECK(json.at("floors").at(key).is_number());
  CHECK(json.at("engine").at("events").is_number_integer());
  CHECK(json.at("engine").at("wall_seconds").is_number());
  CHECK_FALSE(json.contains("numerics"));  // measured reports only
}

}  // namespace

TEST_CASE("a report's JSON has every field of the contract with its type and value") {
  const auto json = nlohmann::json::parse(to_json(made_up("a \"quoted\" name", 1)));
  check_contract(json);
  CHECK(json.at("experiment") == "a \"quoted\" name");
  CHECK(json.at("step_seconds") == 0.010);
  CHECK(json.at("time").at("idle_seconds") == 0.001);
  CHECK(json.at("collectives").at(0).at("floor_seconds") == 0.002);
  CHECK(json.at("memory").at("parameters_by_kind").at("expert_weights") == 60);
  CHECK(json.at("engine").at("events") == 42);
}

TEST_CASE("a report's JSON begins as documented and is the same every time") {
  const std::string text = to_json(made_up("one", 1));
  CHECK(text == to_json(made_up("one", 1)));
  CHECK(text.rfind("{\n  \"schema\": \"fabricast.report/1\",\n  \"experiment\": \"one\",\n  \"source\": \"simulated\",", 0) == 0);
  CHECK(text.back() == '\n');
}

// Speed-up is a ratio of tokens per second: half the step time is twice as fast. Classes sum to the step.
TEST_CASE("a comparison carries full reports, speed-ups and where the time went") {
  const Comparison comparison{{made_up("base", 1), made_up("other", 0.5)}, {}};
  const auto json = nlohmann::json::parse(to_json(comparison));
  CHECK(json.at("schema") == "fabricast.comparison/1");
  CHECK(json.at("baseline") == "base");
  REQUIRE(json.at("reports").size() == 2);
  for (const auto& report : json.at("reports")) check_contract(report);
  CHECK(json.at("speedups").at(0) == 1.0);
  CHECK(json.at("speedups").at(1).get<double>() == doctest::Approx(2.0));
  double base = 0, other = 0;
  for (const auto& row : json.at("time_by_class")) {
    base += row.at("seconds").at(0).get<double>();
    other += row.at("seconds").at(1).get<double>();
  }
  CHECK(base * 1e3 == doctest::Approx(10));
  CHECK(other * 1e3 == doctest::Approx(5));
}

TEST_CASE("the best point is the fastest of those that fit, and impossible ones never win") {
  Report slow = made_up("slow", 2), fast = made_up("fast", 1), huge = made_up("huge", 0.5);
  huge.memory.fits = false;
  CHECK(best_point({{{"a=1"}, slow, {}}, {{"a=2"}, fast, {}}, {{"a=3"}, huge, {}}}) == 1);
  CHECK(best_point({{{"a=3"}, huge, {}}}) == 0);
  CHECK(best_point({{{"a=1"}, {}, "no"}, {{"a=2"}, slow, {}}}) == 1);
  CHECK_FALSE(best_point({{{"a=1"}, {}, "no"}}).has_value());
}

TEST_CASE("summaries fit 100 columns and say in three sentences what bounds the step") {
  const Report report = made_up("base", 1);
  CHECK(what_bounds(report).size() == 3);
  CHECK(what_bounds(report)[0].find("60.0 %") != std::string::npos);
  CHECK(what_bounds(report)[1].find("expert axis (dispatch) is 100.0 %") != std::string::npos);
  CHECK(what_bounds(report)[2].find("1.43x") != std::string::npos);  // 10 / (10 - 3): exposed communication is the largest loss
  Comparison comparison{{report, made_up("other", 0.5), made_up("third", 3), made_up("fourth", 1), made_up("fifth", 2)}, {}};
  comparison.baseline_sweep = Sweep{{{{"workload.micro_batches=1"}, report, {}}, {{"workload.micro_batches=7"}, {}, "not so"}}, 0};
  for (const std::string& text : {summary(report, {}), summary(comparison, {})}) {
    for (std::size_t begin = 0, end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) CHECK(end - begin <= page_width);
    CHECK(text.find("nan") == std::string::npos);
    CHECK(text.find("inf ") == std::string::npos);
  }
}

}  // namespace fabricast::report_json_test
