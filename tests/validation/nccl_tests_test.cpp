// nccl-tests' output, made up from its documented columns.
#include "validation/nccl_tests.hpp"

#include <doctest/doctest.h>

#include "hardware_models/config_error.hpp"

namespace fabricast::nccl_tests_test {

using namespace fabricast;
using namespace fabricast::validation;

const std::string head =
    "# Collective test starting: all_gather_perf\n"
    "# nThread 1 nGpus 1 minBytes 1024 maxBytes 2048 step: 2(factor) warmup iters: 1 iters: 20 agg iters: 1 validate: 1 graph: 0\n"
    "# Using devices\n"
    "#  Rank  0 Group  0 Pid   100 on     node-a device  0 [0000:1b:00] NVIDIA H100 80GB HBM3\n"
    "#  Rank  1 Group  0 Pid   101 on     node-a device  1 [0000:43:00] NVIDIA H100 80GB HBM3\n"
    "#  Rank  2 Group  0 Pid   200 on     node-b device  0 [0000:1b:00] NVIDIA H100 80GB HBM3\n"
    "#  Rank  3 Group  0 Pid   201 on     node-b device  1 [0000:43:00] NVIDIA H100 80GB HBM3\n"
    "#\n"
    "#                                                              out-of-place                       in-place          \n"
    "#       size         count      type   redop    root     time   algbw   busbw #wrong     time   algbw   busbw #wrong\n"
    "#        (B)    (elements)                               (us)  (GB/s)  (GB/s)            (us)  (GB/s)  (GB/s)       \n";
const std::string rows =
    "        1024            64     float    none      -1    20.50    0.05    0.04      0    20.10    0.05    0.04      0\n"
    "node-a:100:100 [0] NCCL INFO something in between\n"
    "  1073741824      67108864      half    none      -1   1.2e+04  178.96  134.22    N/A    6000.0  178.96  134.22    N/A\n";
const std::string foot = "# Out of bounds values : 0 OK\n# Avg bus bandwidth    : 67.13 \n#\n";

std::string complaint(const std::string& text, const std::string& kind = {}) {
  try {
    (void)read_nccl_tests_text(text, "out.txt", kind);
  } catch (const hw::ConfigError& error) {
    return error.what();
  }
  return {};
}

TEST_CASE("the text table: kind, size, type, hosts and GPUs, through what others print in between") {
  CHECK(is_nccl_tests_text(head + rows + foot));
  CHECK_FALSE(is_nccl_tests_text("kind,us\nlaunch,2\n"));
  const Measurements set = read_nccl_tests_text(head + rows + foot, "out.txt");
  REQUIRE(set.collectives.size() == 2);
  CHECK(set.collectives[0].kind == hw::CollectiveKind::all_gather);
  CHECK(set.collectives[0].bytes == Bytes(1024));
  CHECK(set.collectives[0].nodes == 2);
  CHECK(set.collectives[0].gpus_per_node == 2);
  CHECK(set.collectives[0].seconds.value() == doctest::Approx(20.5e-6));
  CHECK(set.collectives[0].place.line == 12);
  CHECK(set.collectives[1].seconds.value() == doctest::Approx(1.2e-2));   // printed with few digits where it is long
  CHECK(set.collectives[1].precision == hw::Precision::fp16);
  CHECK(set.machine.device == "NVIDIA H100 80GB HBM3");
  CHECK(set.machine.devices == 4);
}

TEST_CASE("the kind may be asked for, or told by busbw over algbw where only all-reduce can be") {
  const std::string anonymous = head.substr(head.find('\n') + 1);
  CHECK(complaint(anonymous + rows).find("--kind") != std::string::npos);
  CHECK(read_nccl_tests_text(anonymous + rows, "out.txt", "alltoall").collectives[0].kind == hw::CollectiveKind::all_to_all);
  CHECK(complaint(anonymous + rows, "allreduce").find("there are: all_reduce") != std::string::npos);
  // Four ranks: 2·3/4 = 1.5.
  const std::string reduced = "  1048576  262144  float  sum  -1  100.0  10.00  15.00  0  100.0  10.00  15.00  0\n";
  CHECK(read_nccl_tests_text(anonymous + reduced, "out.txt").collectives[0].kind == hw::CollectiveKind::all_reduce);
}

TEST_CASE("wrong results, cut-off rows and empty tables earn one line with the place") {
  CHECK(complaint(head + "1024 64 float none -1 20.5 0.05 0.04 3 20.1 0.05 0.04 0\n").find("out.txt:12: #wrong is 3") == 0);
  CHECK(complaint(head + "1024 64 float none -1 20.5\n").find("out.txt:12: the row ends early") == 0);
  CHECK(complaint(head + "1024 64 float none -1 nan 0.05 0.04 0\n").find("is no number") != std::string::npos);
  CHECK(complaint(head + "1024 64 float none -1 0.0 0.05 0.04 0\n").find("out.txt:12: a time of 0 s") == 0);
  CHECK(complaint(head + foot).find("holds no row of results") != std::string::npos);
  CHECK(complaint("1024 64 float none -1 20.5 0.05 0.04 0\n").find("# Rank") != std::string::npos);
  CHECK(complaint(head.substr(0, head.find("#  Rank  1")) + rows).find("needs two") != std::string::npos);
}

/// Version 3, with its traps: a padded root, null groups and counts, cpu_time for time.
std::string json(const std::string& result) {
  return R"({"version": 3, "start_time": "2026-11-25 05:00:00", "args": ["./build/reduce_scatter_perf", "-J", "o.json"], "nccl_version": "2.29.2",
  "config": {"ngpus": 2, "devices": [{"rank": 0, "hostname": "a", "device": 0, "device_info": "NVIDIA B200"},
                                      {"rank": 1, "hostname": "a", "device": 1, "device_info": "NVIDIA B200"}]},
  "results": [)" + result + R"(], "average_bus_bandwidth": {"bandwidth": 1.0, "okay": "unchecked"}, "errors": []})";
}

Measurements read_json(const std::string& text) { return read_nccl_tests_json(hw::parse_json_text(text, "o.json")); }

TEST_CASE("the JSON of -J is read by either clock, and by the in-place time where the other is null") {
  const Measurements set = read_json(json(
      R"({"size": 1024, "count": 256, "type": "float", "redop": "sum", "root": "    -1", "out_of_place": {"time": 9.5, "alg_bw": 0.1, "bus_bw": 0.05, "nwrong": null}, "in_place": null},
         {"size": 2048, "count": 512, "type": "bfloat16", "redop": "sum", "root": "    -1", "out_of_place": null, "in_place": {"cpu_time": 8.5, "alg_bw": 0.1, "bus_bw": 0.05, "nwrong": 0}})"));
  REQUIRE(set.collectives.size() == 2);
  CHECK(set.collectives[0].kind == hw::CollectiveKind::reduce_scatter);
  CHECK(set.collectives[0].nodes == 1);
  CHECK(set.collectives[0].gpus_per_node == 2);
  CHECK(set.collectives[0].seconds.value() == doctest::Approx(9.5e-6));
  CHECK(set.collectives[1].seconds.value() == doctest::Approx(8.5e-6));
  CHECK(set.collectives[1].precision == hw::Precision::bf16);
  CHECK(set.date == "2026-11-25 05:00:00");
}

TEST_CASE("JSON with wrong results or without devices is refused") {
  CHECK_THROWS_AS(read_json(json(R"({"size": 1024, "out_of_place": {"time": 9.5, "nwrong": 4}})")), hw::ConfigError);
  CHECK_THROWS_AS(read_json(json(R"({"size": 1024, "out_of_place": {"alg_bw": 4}})")), hw::ConfigError);
  CHECK_THROWS_AS(read_json(json("")), hw::ConfigError);
  CHECK_THROWS_AS(read_json(R"({"results": [{"size": 1}]})"), hw::ConfigError);
}

}  // namespace fabricast::nccl_tests_test
