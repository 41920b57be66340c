// `fabricast calibrate`, `validate` and `import` as other programs see them: from a table of times to a forecast with error bars.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/temporary_folder.hpp"
#include "tests/tools/run_fabricast.hpp"

namespace fabricast::calibrate_cli_test {

namespace fs = std::filesystem;
using fabricast::tests::Ran;
using fabricast::tests::run_fabricast;
using fabricast::tests::TemporaryFolder;
using fabricast::tests::text_of;

namespace {

const std::string configs = FABRICAST_SOURCE_DIR "/configs/", published = FABRICAST_SOURCE_DIR "/validation/published/";

void check_input_at_fault(const std::string& arguments, const std::string& part) {
  CAPTURE(arguments);
  const Ran ran = run_fabricast(arguments);
  CHECK(ran.code == 2);
  CHECK(ran.out.empty());
  CHECK(std::count(ran.err.begin(), ran.err.end(), '\n') == 1);
  CHECK_MESSAGE(ran.err.find(part) != std::string::npos, ran.err);
}

/// h100_1x8 with another library than the profile that a fit starts from.
nlohmann::json other_cluster() {
  nlohmann::json cluster = nlohmann::json::parse(text_of(configs + "clusters/h100_1x8.json"));
  cluster["gpu"] = configs + "gpus/h100_sxm_80gb.json";
  cluster["collectives"] = nlohmann::json::parse(text_of(configs + "calibration/nccl_h100.json"));
  auto& kernels = cluster["collectives"]["kernels"];
  kernels["nvls"]["nvlink_share"] = 0.5;
  for (const char* mode : {"simple", "nvls", "nvls_tree"}) kernels[mode]["call"] = "20 us";
  return cluster;
}

std::vector<double> seconds_on(const std::string& cluster) {
  const Ran ran = run_fabricast("bench-collective all_reduce --cluster " + cluster + " --bytes 8KiB:256MiB --json -");
  REQUIRE_MESSAGE(ran.code == 0, ran.err);
  std::vector<double> seconds;
  const auto document = nlohmann::json::parse(ran.out);
  for (const auto& row : document.at("rows")) seconds.push_back(row.at("seconds").get<double>());
  return seconds;
}

/// What all_reduce_perf prints for these times.
std::string nccl_tests_output(const std::vector<double>& seconds) {
  std::string text = "# nThread 1 nGpus 8 minBytes 8192\n# Collective test starting: all_reduce_perf\n# Using devices\n";
  for (int i = 0; i < 8; ++i) text += "#  Rank  " + std::to_string(i) + " Group  0 Pid 1 on node0 device  " + std::to_string(i) + " [0000:1b:00] NVIDIA H100 80GB HBM3\n";
  std::int64_t bytes = 8192;
  for (const double s : seconds) {
    text += std::to_string(bytes) + " " + std::to_string(bytes / 4) + " float sum -1 " + std::to_string(s * 1e6) + " 1.0 1.75 0 " + std::to_string(s * 1e6) + " 1.0 1.75 0\n";
    bytes *= 2;
  }
  return text;
}

/// Measurements of a host with two ranks: 20 GFLOP/s, 4 GB/s, 25 us a collective.
nlohmann::json host_measurements() {
  const auto entry = [](nlohmann::json work, double seconds) {
    return nlohmann::json{{"work", work}, {"concurrent", 2}, {"seconds", {{"p10", seconds}, {"median", seconds}, {"p90", seconds}}}};
  };
  nlohmann::json kernels = nlohmann::json::array(), collectives = nlohmann::json::array();
  for (const int n : {256, 512, 1024}) {
    for (const int m : {64, 128, 256, 512}) {
      kernels.push_back(entry({{"kind", "gemm"}, {"m", m}, {"n", n}, {"k", 512}, {"precision", "fp32"}}, 2.0 * m * n * 512 / 20e9));
      kernels.push_back(entry({{"kind", "rms_norm"}, {"rows", m}, {"width", n}, {"precision", "fp32"}}, 2.0 * 4 * m * n / 4e9));
    }
  }
  for (const char* kind : {"all_reduce", "all_gather"}) {
    for (int bytes = 16384; bytes <= 4194304; bytes *= 2) {
      const double s = 25e-6 + bytes / 2.0 * (kind == std::string("all_reduce") ? 2 : 1) / 4e9;
      collectives.push_back({{"kind", kind}, {"bytes", bytes}, {"nodes", 1}, {"gpus_per_node", 2}, {"seconds", {{"p10", s}, {"median", s}, {"p90", s}}}});
    }
  }
  return {{"schema", "fabricast.measurements/1"}, {"machine", {{"host", "made_up"}, {"device", "a CPU"}}}, {"kernels", kernels}, {"collectives", collectives}};
}

}  // namespace

TEST_CASE("a profile fitted to a table is one that an experiment can name, and its forecasts have error bars") {
  const TemporaryFolder folder("calibrate_cli");
  const std::string profile = (folder.path() / "gpu.json").string();
  const Ran fit = run_fabricast("calibrate " + published + "gemm.csv --system h100_sxm --base " + configs + "gpus/h100_sxm_80gb.json --out " + profile);
  CHECK(fit.code == 0);
  CHECK(fit.out.find("gemm bf16") != std::string::npos);
  const auto document = nlohmann::json::parse(text_of(profile));
  CHECK(document.at("calibration").at("provenance").at("command").get<std::string>().find("--system h100_sxm") != std::string::npos);
  const Ran forecast = run_fabricast("simulate " + configs + "experiments/mixtral_8x7b_ep8.json --set cluster.gpu=" + profile + " --json -");
  REQUIRE(forecast.code == 0);
  const auto bar = nlohmann::json::parse(forecast.out).at("error_bar");
  CHECK(bar.at("low_seconds") < bar.at("high_seconds"));
  CHECK(bar.at("probability") == 0.8);
  CHECK_FALSE(bar.at("unknown").empty());
}

TEST_CASE("what nccl-tests printed becomes a library's profile that a cluster can name, and it predicts what was printed") {
  const TemporaryFolder folder("calibrate_nccl");
  const std::string truth = folder.write("truth.json", other_cluster().dump()).string();
  const std::vector<double> measured = seconds_on(truth);
  REQUIRE(measured.size() == 16);
  const std::string printed = folder.write("all_reduce.txt", nccl_tests_output(measured)).string();
  const std::string json = (folder.path() / "all_reduce.json").string(), profile = (folder.path() / "nccl.json").string();
  REQUIRE(run_fabricast("import nccl-tests " + printed + " --out " + json).code == 0);
  const Ran fit = run_fabricast("calibrate " + json + " --cluster " + configs + "clusters/h100_1x8.json --collectives " + profile);
  REQUIRE_MESSAGE(fit.code == 0, fit.err);
  CHECK(fit.out.find("all_reduce") != std::string::npos);
  const auto document = nlohmann::json::parse(text_of(profile));
  const auto& kind = document.at("calibration").at("kinds").at(0);
  CHECK(kind.at("kind") == "all_reduce");
  CHECK(kind.at("domain").at("bytes") == nlohmann::json({8192.0, 268435456.0}));
  CHECK(document.at("source").get<std::string>().find("16 rows") != std::string::npos);
  nlohmann::json cluster = nlohmann::json::parse(text_of(configs + "clusters/h100_1x8.json"));
  cluster["gpu"] = configs + "gpus/h100_sxm_80gb.json";
  cluster["collectives"] = profile;
  const std::vector<double> again = seconds_on(folder.write("fitted.json", cluster.dump()).string());
  REQUIRE(again.size() == 16);
  for (std::size_t i = 0; i < 16; ++i) CHECK(again[i] == doctest::Approx(measured[i]).epsilon(0.1));
  CHECK(again.back() == doctest::Approx(measured.back()).epsilon(0.02));
}

TEST_CASE("a host's measurements become a cluster of its ranks that an experiment can name") {
  const TemporaryFolder folder("calibrate_host");
  const std::string measured = folder.write("m.json", host_measurements().dump()).string(), profile = (folder.path() / "host.json").string();
  const Ran fit = run_fabricast("calibrate " + measured + " --base host --out " + profile);
  REQUIRE_MESSAGE(fit.code == 0, fit.err);
  const auto cluster = nlohmann::json::parse(text_of(profile));
  CHECK(cluster.at("node").at("gpus") == 2);
  CHECK(cluster.at("gpu").at("calibration").at("provenance").at("machine") == "made_up: a CPU");
  CHECK(cluster.at("collectives").at("base_latency").at("all_reduce").get<std::string>().substr(0, 2) == "25");
  CHECK(cluster.at("collectives").at("base_latency").at("all_to_all") == cluster.at("collectives").at("base_latency").at("all_gather"));
  const Ran forecast = run_fabricast("simulate " + configs + "experiments/ep4_tp2_tiny.json --set cluster=" + profile +
                                     " --set strategy.expert=1 --set model.precision=fp32 --json -");
  REQUIRE_MESSAGE(forecast.code == 0, forecast.err);
  CHECK(nlohmann::json::parse(forecast.out).at("step_seconds") > 0);
}

// Norms at 480 kB/s beside copies at 4 GB/s: a share of 1.2e-4.
TEST_CASE("a pass as slow as those of a busy host is written with its digits") {
  const TemporaryFolder folder("calibrate_slow_pass");
  nlohmann::json measured = host_measurements();
  nlohmann::json copies = nlohmann::json::array();
  for (auto& kernel : measured["kernels"]) {
    if (kernel["work"]["kind"] != "rms_norm") continue;
    nlohmann::json copy = kernel;
    copy["work"]["kind"] = "residual_add";
    for (const char* at : {"p10", "median", "p90"}) {
      copy["seconds"][at] = 1.5 * kernel["seconds"][at].get<double>();   // three rows moved for each of the norm's two
      kernel["seconds"][at] = kernel["seconds"][at].get<double>() / 1.2e-4;
    }
    copies.push_back(copy);
  }
  for (const auto& copy : copies) measured["kernels"].push_back(copy);
  const std::string profile = (folder.path() / "host.json").string();
  const Ran fit = run_fabricast("calibrate " + folder.write("m.json", measured.dump()).string() + " --base host --out " + profile);
  REQUIRE_MESSAGE(fit.code == 0, fit.err);
  const double share = nlohmann::json::parse(text_of(profile)).at("gpu").at("pass").at("rms_norm");
  CHECK(share == doctest::Approx(1.2e-4).epsilon(0.03));
  const Ran forecast = run_fabricast("simulate " + configs + "experiments/ep4_tp2_tiny.json --set cluster=" + profile +
                                     " --set strategy.expert=1 --set model.precision=fp32 --quiet");
  CHECK_MESSAGE(forecast.code == 0, forecast.err);
}

TEST_CASE("this machine is measured, and what was measured is kept") {
  const TemporaryFolder folder("measure_host");
  const std::string profile = (folder.path() / "host.json").string(), kept = (folder.path() / "kept.json").string();
  const Ran ran = run_fabricast("calibrate --measure host --ranks 2 --repetitions 1 --keep " + kept + " --out " + profile);
  REQUIRE_MESSAGE(ran.code == 0, ran.err);
  CHECK(nlohmann::json::parse(text_of(kept)).at("kernels").size() > 60);
  CHECK(nlohmann::json::parse(text_of(profile)).at("node").at("gpus") == 2);
}

TEST_CASE("one command measures, fits, forecasts and compares on this machine, op by op") {
  const TemporaryFolder folder("compare_on_host");
  const std::string at = folder.path().string(), out = at + "/out";
  const std::string command = "FABRICAST='" FABRICAST_BINARY "' KEEP=" + at + " STEPS=2 REPETITIONS=1 " FABRICAST_SOURCE_DIR "/tools/compare_on_host " + configs +
                              "experiments/ep4_tp2_tiny.json >" + out + " 2>&1";
  REQUIRE_MESSAGE(std::system(command.c_str()) == 0, text_of(out));
  CHECK(text_of(out).find("against its measured step (host)") != std::string::npos);
  const auto comparison = nlohmann::json::parse(text_of(at + "/ep4_tp2_tiny.comparison.json"));
  CHECK(comparison.at("measured_step_seconds") > 0);
  CHECK(comparison.at("predicted_step_seconds") > 0);
}

TEST_CASE("validate judges the committed set, as table, JSON and CSV") {
  const TemporaryFolder folder("validate_cli");
  const std::string csv = (folder.path() / "rows.csv").string(), options = " --configs " + configs + " --kind 'gemm bf16'";
  const Ran table = run_fabricast("validate " + published + options + " --csv " + csv);
  CHECK(table.code == 0);
  CHECK(table.out.find("h100_sxm  gemm bf16") != std::string::npos);
  const std::string rows = text_of(csv);
  CHECK(std::count(rows.begin(), rows.end(), '\n') == 81);   // a header, and 40 rows of two systems
  const Ran json = run_fabricast("validate " + published + options + " --json -");
  CHECK(nlohmann::json::parse(json.out).at("summary").size() == 2);
}

// Ring of 8 by the plain protocol: 10 us for the call, and 2 · 7/8 of 225 MB at half of NVLink's 450 GB/s.
TEST_CASE("validate predicts a measured all-reduce on the cluster that is named") {
  const TemporaryFolder folder("validate_collective");
  nlohmann::json cluster = other_cluster();
  cluster["node"]["in_switch_reduction"] = false;
  cluster["node"]["nvlink_latency"] = "0 us";
  auto& kernels = cluster["collectives"]["kernels"];
  kernels["call"] = "0 us";
  kernels["channel_rate"] = "1000 TB/s";
  for (const char* mode : {"ll", "ll128", "simple"}) {
    kernels[mode] = {{"call", "10 us"},        {"nvlink_step", "0 us"},  {"network_step", "0 us"}, {"nvlink_share", mode == std::string("simple") ? 0.5 : 0.01},
                     {"network_share", 0.5}, {"fill", "0 us"},         {"fill_size", "1 B"}};
  }
  const std::string named = folder.write("cluster.json", cluster.dump()).string();
  const std::string times = folder.write("c.csv", "kind,bytes,nodes,gpus_per_node,us\nall_reduce,225000000,1,8,1600\nall_reduce,8,9,8,1\n").string();
  const Ran ran = run_fabricast("validate " + times + " --cluster " + named + " --json -");
  REQUIRE_MESSAGE(ran.code == 0, ran.err);
  const auto result = nlohmann::json::parse(ran.out);
  REQUIRE(result.at("rows").size() == 1);
  CHECK(result.at("rows")[0].at("predicted_seconds").get<double>() == doctest::Approx(1760e-6).epsilon(1e-6));
  CHECK(result.at("rows")[0].at("error").get<double>() == doctest::Approx(0.1).epsilon(1e-6));
  CHECK(result.at("summary")[0].at("kind") == "all_reduce in node from 64 KiB");
  CHECK(ran.err.find("1 rows of collectives have more members than the cluster") != std::string::npos);
  CHECK(run_fabricast("validate " + times + " --cluster " + named).out.find("all_reduce in node from 64 KiB") != std::string::npos);
  check_input_at_fault("validate " + times, "name one with --cluster");
  check_input_at_fault("validate " + times + " --cluster " + times, "c.csv");
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
  check_input_at_fault("validate a.json --trace t.jsonl --cluster c.json", "have no meaning beside --trace");
  check_input_at_fault("import nvidia-smi " + table, "did you mean 'nvidia-smi-topo'?");
  check_input_at_fault("import nvidia-smi-topo " + table, "name a cluster that does with --base");
  check_input_at_fault("import nccl-tests " + table, "t.csv: ");
  const std::string cluster = " --cluster " + configs + "clusters/h100_1x8.json";
  const std::string times = folder.write("c.csv", "kind,bytes,nodes,gpus_per_node,us\nall_reduce,1048576,1,8,30\n").string();
  check_input_at_fault("calibrate " + times + " --collectives " + (folder.path() / "out.json").string(), "needs --cluster");
  check_input_at_fault("calibrate " + times + cluster, "needs --out or --collectives");
  check_input_at_fault("calibrate" + base + out, "needs inputs");
  check_input_at_fault("calibrate " + times + " --base host" + out, "no matrix product of a host");
  check_input_at_fault("calibrate --measure gpu" + out, "--measure is 'host'");
  check_input_at_fault("calibrate --measure host " + times + out, "takes no inputs");
  check_input_at_fault("calibrate --measure host --ranks 0" + out, "--ranks is 1 to 256");
  check_input_at_fault("calibrate --measure host", "needs --out");
  nlohmann::json mixed = host_measurements();
  mixed["kernels"][3]["concurrent"] = 4;
  check_input_at_fault("calibrate " + folder.write("mixed.json", mixed.dump()).string() + " --base host" + out, "a host's profile is of one number");
  CHECK_FALSE(fs::exists(folder.path() / "out.json"));
}

}  // namespace fabricast::calibrate_cli_test
