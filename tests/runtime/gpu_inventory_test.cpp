// What nvidia-smi and nccl-tests print, read.
#include "runtime/gpu_inventory.hpp"

#include <doctest/doctest.h>

namespace fabricast::gpu_inventory_test {

using namespace fabricast::runtime;

TEST_CASE("a line a GPU, memory in MiB, lines of another form are passed over") {
  const auto gpus = parse_gpu_query("NVIDIA H100 80GB HBM3, 580.65.06, 4, 81559\nNVIDIA H100 80GB HBM3, 580.65.06, 1024, 81559\nNo devices\n");
  REQUIRE(gpus.size() == 2);
  CHECK(gpus[0].name == "NVIDIA H100 80GB HBM3");
  CHECK(gpus[1].driver == "580.65.06");
  CHECK(gpus[1].used == Bytes(std::int64_t{1024} << 20));
  CHECK(gpus[1].total == Bytes(std::int64_t{81559} << 20));
  CHECK(parse_gpu_query("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.").empty());
  CHECK(parse_gpu_query("A, 1, [N/A], 81559").empty());
  CHECK(parse_gpu_query("").empty());
}

TEST_CASE("of the table of links the square among GPUs, without NICs, affinities and a terminal's colours") {
  const std::string table =
      "\t\x1b[4mGPU0\tGPU1\tGPU2\tNIC0\tCPU Affinity\tNUMA Affinity\x1b[0m\n"
      "GPU0\t X \tNV18\tSYS\tPXB\t0-47\t0\n"
      "GPU1\tNV18\t X \tPIX\tSYS\t0-47\t0\n"
      "GPU2\tSYS\tPIX\t X \tSYS\t48-95\t1\n"
      "NIC0\tPXB\tSYS\tSYS\t X \n\nLegend:\n\n  X    = Self\n";
  const auto links = parse_gpu_links(table);
  REQUIRE(links.size() == 3);
  CHECK(links[0] == std::vector<std::string>{"X", "NV18", "SYS"});
  CHECK(links[1] == std::vector<std::string>{"NV18", "X", "PIX"});
  CHECK(links[2] == std::vector<std::string>{"SYS", "PIX", "X"});
  CHECK(parse_gpu_links("").empty());
  CHECK(parse_gpu_links("GPU0\t X \nGPU1\tNV18\n").empty());
}

TEST_CASE("the greatest out-of-place bus bandwidth of an nccl-tests table, in GB/s") {
  const std::string text =
      "#       size         count      type   redop    root     time   algbw   busbw #wrong     time   algbw   busbw #wrong\n"
      "     1048576        262144     float     sum      -1    43.60   24.05   42.09      0    43.00   24.39   42.68      0\n"
      "  1073741824     268435456     float     sum      -1   4026.0  266.70  466.73      0   4030.0  266.44  999.00      0\n"
      "# Avg bus bandwidth    : 254.4\n";
  CHECK(parse_best_bus_bandwidth(text).value() == doctest::Approx(466.73e9));
  CHECK(parse_best_bus_bandwidth("all_reduce_perf: Test NCCL failure").value() == 0.0);
}

TEST_CASE("a command that hangs is given up, one that is not there prints nothing") {
  CHECK(output_of("sleep 30", Seconds(1)).empty());
  CHECK(output_of("no_such_program_of_ours", Seconds(1)).empty());
  CHECK(output_of("echo yes", Seconds(5)) == "yes\n");
}

}  // namespace fabricast::gpu_inventory_test
