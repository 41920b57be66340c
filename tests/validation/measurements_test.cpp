// Files of measurements, well and badly formed.
#include <doctest/doctest.h>

#include <algorithm>

#include "hardware_models/config_error.hpp"
#include "tests/temporary_folder.hpp"
#include "validation/read_measurements.hpp"

namespace fabricast::measurements_test {

using namespace fabricast;
using namespace fabricast::validation;

std::vector<Measurements> read(const std::string& text, const std::string& name = "measured.csv") {
  const tests::TemporaryFolder folder("measurements");
  return read_measurements(folder.write(name, text));
}

/// The one line that a file earns; empty if it is taken.
std::string complaint(const std::string& text) {
  try {
    (void)read(text);
  } catch (const hw::ConfigError& error) {
    const std::string message = error.what();
    CHECK(message.find('\n') == std::string::npos);
    return message;
  }
  return {};
}

void check_complaint(const std::string& text, const std::string& part) {
  const std::string message = complaint(text);
  CAPTURE(message);
  CHECK(message.find(part) != std::string::npos);
}

const std::string gemm_header = "kind,m,n,k,precision,us\n";

TEST_CASE("plain CSV: kernels, collectives and a launch, with the unit in the header") {
  const std::vector<Measurements> sets = read(
      "# by hand\n"
      "kind,m,n,k,rows,precision,bytes,nodes,gpus_per_node,us\n"
      "gemm,128,4096,2048,,bf16,,,,12.5\n"
      "grouped_gemm,,1024,512,3 0 5,fp16,,,,7\n"
      "all_reduce,,,,,fp32,1048576,2,8,40\n"
      "launch,,,,,,,,,2.5\n");
  REQUIRE(sets.size() == 1);
  const Measurements& set = sets.front();
  REQUIRE(set.kernels.size() == 2);
  CHECK(set.kernels[0].kind == "gemm bf16");
  CHECK(set.kernels[0].family == "n=4096 k=2048");
  CHECK(set.kernels[0].seconds.value() == doctest::Approx(12.5e-6));
  CHECK(set.kernels[0].place.line == 3);
  CHECK(std::get<hw::GroupedGemm<hw::ExpertRowCounts>>(set.kernels[1].terms.front().kernel).rows == hw::ExpertRowCounts{3, 0, 5});
  REQUIRE(set.collectives.size() == 1);
  CHECK(set.collectives[0].nodes == 2);
  CHECK(set.collectives[0].bytes == Bytes(1048576));
  REQUIRE(set.launch.has_value());
  CHECK(set.launch->value() == doctest::Approx(2.5e-6));
}

TEST_CASE("a bad table earns one line with file, line, column and value") {
  check_complaint("", "is empty");
  check_complaint("# only a comment\n", "holds no table");
  check_complaint(gemm_header, "holds a header, but no row");
  check_complaint(gemm_header + "gemm,1,2,3,bf16,nan\n", "measured.csv:2: us: \"nan\": is not finite");
  check_complaint(gemm_header + "gemm,1,2,3,bf16,inf\n", "is not finite");
  check_complaint(gemm_header + "gemm,1,2,3,bf16,0\n", "must be above 0");
  check_complaint(gemm_header + "gemm,1,2,3,bf16,-4\n", "must be above 0");
  check_complaint(gemm_header + "gemm,1,2,3,bf16,4 us\n", "is no number");
  check_complaint(gemm_header + "gemm,1,2,3,bf16,5e9\n", "is the unit right?");
  check_complaint(gemm_header + "gemm,1,2\n", "measured.csv:2: 3 cells, but the header names 6 columns; is the table cut off?");
  check_complaint(gemm_header + "gemm,1,2,3,\"bf16,5\n", "a quoted cell does not end");
  check_complaint("kind,m,n,k,precision,time\ngemm,1,2,3,bf16,5\n", "has no column of times; name it 'seconds', 'ms' or 'us'");
  check_complaint("kind,m,n,k,precision,us,ms\ngemm,1,2,3,bf16,5,5\n", "give the times once");
  check_complaint("a,b\n1,2\n", "plain tables have a column 'kind'");
  check_complaint(gemm_header + "gem,1,2,3,bf16,5\n", "gemm");
  check_complaint(gemm_header + "gemm,1,,3,bf16,5\n", "\"n\" is missing");
  check_complaint(gemm_header + "gemm,1,-2,3,bf16,5\n", "measured.csv:2: /n");
}

TEST_CASE("a million rows are refused without reading them all into a fit") {
  std::string text = gemm_header;
  for (int i = 0; i < 1000000; ++i) text += "gemm,1,2,3,bf16,5\n";
  check_complaint(text, "measured.csv:200002: more than 200000 rows; thin the table out or split it");
}

constexpr const char* document = R"({"schema": "fabricast.measurements/1", "source": "by hand", "date": "2026-11-25T05:00:00Z",
  "machine": {"device": "a chip", "devices": 8, "attention": "cuDNN 9.19.0"},
  "kernels": [{"work": {"kind": "rms_norm", "rows": 64, "width": 128, "precision": "fp32"}, "concurrent": 8,
               "seconds": {"p10": 1e-6, "median": 2e-6, "p90": 3e-6}, "repetitions": 20, "share_of_copy_rate": 0.9},
              {"work": {"kind": "copy", "bytes": 64}, "seconds": {"p10": 1e-6, "median": 2e-6, "p90": 3e-6}}],
  "collectives": [{"kind": "all_reduce", "bytes": 1024, "nodes": 1, "gpus_per_node": 8, "algorithm": "ring", "precision": "fp32",
                   "seconds": {"p10": 1e-6, "median": 2e-6, "p90": 3e-6}, "repetitions": 20}],
  "launch": {"seconds": {"p10": 1e-6, "median": 2e-6, "p90": 3e-6}, "repetitions": 100},
  "interference": [{"compute": {"kind": "gemm", "m": 64, "n": 64, "k": 64, "precision": "fp32"}, "communication_sms": 16,
                    "communication_bytes_per_second": 1e9, "memory_bytes_per_second": 2e9, "alone_seconds": 1e-6, "beside_seconds": 2e-6}],
  "method": "CUDA events", "left_out": [{"what": "copy of 1 bytes", "why": "too small"}]})";

TEST_CASE("the measurements format is read whole, a copy, which the model does not have, is passed over") {
  const Measurements set = read(document).front();
  CHECK(set.machine.devices == 8);
  REQUIRE(set.kernels.size() == 1);
  CHECK(set.kernels[0].kind == "rms_norm fp32");
  REQUIRE(set.collectives.size() == 1);
  CHECK(set.collectives[0].p90 == Seconds(3e-6));
  CHECK(set.launch == Seconds(2e-6));
  REQUIRE(set.interference.size() == 1);
  CHECK(set.interference[0].beside == Seconds(2e-6));
  CHECK(set.interference[0].memory == BytesPerSecond(2e9));
}

TEST_CASE("what is written as measurements reads back the same") {
  Measurements set = read(document).front();
  const Measurements again = read(to_json(set)).front();
  REQUIRE(again.collectives.size() == 1);
  CHECK(again.collectives[0].bytes == set.collectives[0].bytes);
  CHECK(again.collectives[0].algorithm == hw::CollectiveAlgorithm::ring);
  CHECK(again.collectives[0].p10 == set.collectives[0].p10);
  CHECK(again.collectives[0].repetitions == 20);
  CHECK(again.machine.device == "a chip");
  CHECK(again.machine.attention == "cuDNN 9.19.0");
  CHECK(again.date == set.date);
}

TEST_CASE("JSON that is no measurements, or is cut off, earns one line") {
  check_complaint(R"({"schema": "fabricast.report/1"})", "is not \"fabricast.measurements/1\"");
  check_complaint(std::string(document).substr(0, 300), "measured.csv:");
  check_complaint(R"({"schema": "fabricast.measurements/1", "launch": {"seconds": {"p10": 3, "median": 2, "p90": 4}}})", "p10 <= median <= p90");
  check_complaint(R"({"schema": "fabricast.measurements/1", "launch": {"seconds": {"p10": 0, "median": 0, "p90": 0}}})", "above 0");
  check_complaint(R"({"schema": "fabricast.measurements/1", "kernel": []})", "kernels");
}

TEST_CASE("tables of the published collection are told by their columns and sorted by system") {
  const std::vector<Measurements> sets = read(
      "# source: somewhere\n"
      "system,backend,dtype,m,n,k,latency_us,tflops\n"
      "h100_sxm,x,bfloat16,64,512,1024,8.5,1\n"
      "a100_sxm,x,bfloat16,64,512,1024,9.5,1\n"
      "h100_sxm,x,fp8_block,64,512,1024,7.5,1\n");
  REQUIRE(sets.size() == 2);
  CHECK(sets[0].system == "h100_sxm");
  REQUIRE(sets[0].kernels.size() == 2);
  CHECK(sets[0].kernels[1].kind == "gemm fp8 blockwise");
  CHECK(sets[1].kernels[0].seconds.value() == doctest::Approx(9.5e-6));
}

// Balanced: 16 tokens · top-8 over 128 experts give each expert one row; a rank of 8 has 2 · 8 experts' rows.
TEST_CASE("a fused MoE layer becomes permutation, two products and a weighted sum of one rank's rows") {
  const Measurements set = read(
                               "system,kernel,dtype,num_tokens,hidden,inter,topk,experts,moe_tp,moe_ep,routing_distribution,latency_us\n"
                               "h100_sxm,moe_torch_flow_cutlass,bfloat16,16,2048,768,8,128,2,8,balanced,50\n"
                               "h100_sxm,moe_torch_flow_cutlass,bfloat16,4096,2048,768,8,128,1,8,power_law_1.2,50\n")
                               .front();
  const KernelMeasurement& even = set.kernels[0];
  REQUIRE(even.terms.size() == 5);
  const auto& up = std::get<hw::GroupedGemm<hw::ExpertRowCounts>>(even.terms[1].kernel);
  CHECK(up.rows == hw::ExpertRowCounts(16, 1));
  CHECK(up.n == 2 * 768 / 2);
  CHECK(std::get<hw::GroupedGemm<hw::ExpertRowCounts>>(even.terms[3].kernel).k == 384);
  CHECK(up.tuned_rows == 1);
  CHECK(std::get<hw::Activation<std::int64_t>>(even.terms[2].kernel).rows == 16);

  const KernelMeasurement& skewed = set.kernels[1];
  REQUIRE(skewed.terms.size() == 25);
  double weight = 0;
  for (const Term& term : skewed.terms) weight += term.times;
  CHECK(weight == doctest::Approx(5.0));
  for (std::size_t draw = 0; draw < 5; ++draw) {   // the busiest of 8 ranks has more than its even share of 4096 · 8 / 8
    CHECK(rows_of(skewed.terms[5 * draw].kernel) >= 4096);
    CHECK(rows_of(skewed.terms[5 * draw].kernel) <= 4096 * 8);
    CHECK(std::get<hw::GroupedGemm<hw::ExpertRowCounts>>(skewed.terms[5 * draw + 1].kernel).tuned_rows == 4096 * 8 / 128);
  }
}

// 64 tokens · top-8 over 256 experts of 64 ranks: two rows for each of the four experts here.
TEST_CASE("of experts beside a dispatch, decoding under uniform routing is read") {
  const std::vector<Measurements> sets = read(
      "system,phase,dtype,num_tokens,hidden,inter,topk,experts,ep,routing_distribution,latency_us\n"
      "h100_sxm,generation,fp8_block,64,7168,2048,8,256,64,uniform,85.2\n"
      "h100_sxm,context,fp8_block,1024,7168,2048,8,256,64,uniform,401.3\n");
  const auto measured = std::find_if(sets.begin(), sets.end(), [](const Measurements& set) { return !set.kernels.empty(); });
  REQUIRE(measured != sets.end());
  REQUIRE(measured->kernels.size() == 1);
  const KernelMeasurement& layer = measured->kernels.front();
  CHECK(layer.kind == "wide-EP experts fp8 blockwise");
  CHECK(layer.costs.empty());
  REQUIRE(layer.terms.size() == 3);
  CHECK(std::get<hw::GroupedGemm<hw::ExpertRowCounts>>(layer.terms[0].kernel).rows == hw::ExpertRowCounts(4, 2));
}

// 4 of 8 experts are here, and two of eight tokens' 16 choices each: 8 rows of 4096 and of 1024 elements are quantised.
TEST_CASE("a fused MoE layer costs what its own kernels add, by expert and by element quantised") {
  const Measurements set = read(
                             "system,kernel,dtype,num_tokens,hidden,inter,topk,experts,moe_tp,moe_ep,routing_distribution,latency_us\n"
                             "h100_sxm,moe_torch_flow_cutlass,fp8_block,8,4096,14336,2,8,14,2,balanced,50\n"
                             "h100_sxm,moe_torch_flow_cutlass,bfloat16,8,4096,1024,10,512,4,2,balanced,50\n"
                             "h100_sxm,moe_torch_flow_cutlass,fp8_block,8,4096,1024,10,512,4,2,balanced,50\n")
                       .front();
  const KernelMeasurement& blockwise = set.kernels[0];
  CHECK(blockwise.kind == "moe layer fp8 blockwise balanced");
  REQUIRE(blockwise.costs.size() == 3);
  CHECK(blockwise.costs[0].units == 1.0);
  CHECK(blockwise.costs[1].units == doctest::Approx(8 * (4096 + 1024) / 1e6));
  CHECK(blockwise.costs[2].units == 4.0);
  CHECK(std::get<hw::Permute<std::int64_t>>(blockwise.terms[0].kernel).precision == hw::Precision::bf16);
  CHECK(std::get<hw::GroupedGemm<hw::ExpertRowCounts>>(blockwise.terms[1].kernel).precision == hw::Precision::fp8);

  CHECK(set.kernels[1].kind == std::string("moe layer bf16 balanced") + shared_tuning);   // 4096_2048_256_8 of 8 x 1 has the same file
  REQUIRE(set.kernels[1].costs.size() == 2);
  CHECK(set.kernels[1].costs[1].name == "aiconfigurator moe layer bf16, more than 8 choices");
  CHECK(set.kernels[2].kind == "moe layer fp8 blockwise balanced");   // runs no tuned kernel
}

}  // namespace fabricast::measurements_test
