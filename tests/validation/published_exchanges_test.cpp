// Published dispatches and combines: what a row of each table means, and what becomes of rows that mean nothing.
#include <doctest/doctest.h>

#include <string>

#include "hardware_models/config_error.hpp"
#include "tests/temporary_folder.hpp"
#include "validation/judge_collectives.hpp"
#include "validation/read_measurements.hpp"

namespace fabricast::published_exchanges_test {

using namespace fabricast;
using namespace fabricast::validation;

namespace {

std::vector<Measurements> read(const std::string& text) {
  const tests::TemporaryFolder folder("published_exchanges");
  return read_measurements(folder.write("t.csv", text));
}

void check_refused(const std::string& text, const std::string& part) {
  CAPTURE(text);
  std::string message;
  try {
    (void)read(text);
  } catch (const hw::ConfigError& error) {
    message = error.what();
  }
  CHECK_MESSAGE(message.find(part) != std::string::npos, message);
  CHECK(message.find('\n') == std::string::npos);
}

const std::string normal =
    "system,node_num,hidden_size,num_token,num_topk,num_experts,dispatch_sms,combine_sms,dispatch_transmit_us,combine_transmit_us\n";
const std::string low_latency = "system,node_num,hidden_size,num_token,num_topk,num_experts,dispatch_avg_t_us,combine_avg_t_us\n";
const std::string documents = "source,hardware,kernel,EP,dispatch_us,dispatch_GBps,combine_us,combine_GBps\n";
const std::string hybrid = "platform,ranks,SMs,kern_disp_fp8,kern_disp_bf16,kern_combine\n";

/// Share of tokens that have none of their eight experts among `missed` of `experts`.
double none_of_eight(double missed, double experts) {
  double share = 1;
  for (int i = 0; i < 8; ++i) share *= (experts - missed - i) / (experts - i);
  return share;
}

doctest::Approx about(double value) { return doctest::Approx(value).epsilon(1e-9).scale(0.0); }

}  // namespace

TEST_CASE("a row of DeepEP's normal kernels is a dispatch in fp8 with scales and a combine in bf16") {
  const auto sets = read(normal + "h100_or_h200,8,7168,512,8,256,20,24,900,1100\nh100_or_h200,2,7168,511,8,256,20,24,300,400\n");
  REQUIRE(sets.size() == 1);
  CHECK(sets[0].system == "h100_or_h200");
  REQUIRE(sets[0].exchanges.size() == 4);
  const ExchangeMeasurement &dispatch = sets[0].exchanges[0], &combine = sets[0].exchanges[1];
  CHECK(dispatch.kind == "dispatch 8 nodes from 512 tokens");
  CHECK(dispatch.row == Bytes(7168 + 4 * 56));
  CHECK(dispatch.reach == 0.5);   // four nodes of eight
  CHECK(dispatch.sms == 20);
  CHECK(dispatch.seconds.value() == about(900e-6));
  CHECK(combine.combine);
  CHECK(combine.row == Bytes(2 * 7168));
  CHECK(combine.sms == 24);
  CHECK(sets[0].exchanges[2].kind == "dispatch 2 nodes below 512 tokens");
  CHECK(sets[0].exchanges[2].reach == 1.0);
}

TEST_CASE("a low-latency row holds no SMs and limits no token") {
  const auto sets = read(low_latency + "h100_sxm,8,7168,128,8,256,150,300\n");
  REQUIRE(sets[0].exchanges.size() == 2);
  CHECK(sets[0].exchanges[1].kind == "low-latency combine 8 nodes");
  CHECK(sets[0].exchanges[1].algorithm == hw::CollectiveAlgorithm::low_latency);
  CHECK(sets[0].exchanges[1].sms == 0);
  CHECK(sets[0].exchanges[1].reach == 1.0);
}

// bytes = tokens · parts · (1 - C(E - E/parts, 8) / C(E, 8)) · row; where tokens are limited to 4 of 8 nodes, 4 · (1 - C(96, 8) / C(128, 8))
TEST_CASE("rates of documents count a token once for each node that it goes to, its own too, or once for each of eight GPUs") {
  const auto sets = read(documents +
                         "a,H800 CX7,normal 4096 tok,64,,51,,50\n"
                         "a,H800 CX7,normal 4096 tok,8,,153,,158\n"
                         "a,SM90 CX7,\"V2 8192 tok, 6 SM\",32,,61,,61\n"
                         "a,H800 CX7,low-latency 128 tok,16,118,63,195,74\n");
  REQUIRE(sets.size() == 2);
  REQUIRE(sets[0].exchanges.size() == 6);
  CHECK(sets[0].system == "h800_sxm");
  CHECK(sets[0].exchanges[0].seconds.value() == about(4096 * 4 * (1 - none_of_eight(32, 128)) * 7392 / 51e9));
  CHECK(sets[0].exchanges[1].seconds.value() == about(4096 * 4 * (1 - none_of_eight(32, 128)) * 14336 / 50e9));
  CHECK(sets[0].exchanges[2].seconds.value() == about(4096 * 8 * (1 - none_of_eight(32, 256)) * 7392 / 153e9));
  CHECK(sets[0].exchanges[4].seconds.value() == about(118e-6));   // a time goes before the rate
  CHECK(sets[1].system == "h100_sxm");
  CHECK(sets[1].exchanges[0].seconds.value() == about(8192 * 4 * (1 - none_of_eight(64, 256)) * 7392 / 61e9));
  CHECK(sets[1].exchanges[0].sms == 6);
}

TEST_CASE("Hybrid-EP's rows hold three rates of kernels, and hardware without a profile is left out with its name") {
  const auto sets = read(hybrid + "\"IB platform (H100-class, see doc)\",64,16,46.52,49.97,49.77\nGB200 NVL72,8,16,620.98,750.15,684.27\n");
  REQUIRE(sets.size() == 2);
  REQUIRE(sets[0].exchanges.size() == 3);
  CHECK(sets[0].exchanges[0].kind == "Hybrid-EP dispatch fp8 8 nodes");
  CHECK(sets[0].exchanges[0].experts == 512);
  CHECK(sets[0].exchanges[0].reach == 1.0);
  CHECK(sets[0].exchanges[2].seconds.value() == about(4096 * 8 * (1 - none_of_eight(64, 512)) * 14336 / 49.77e9));
  CHECK(sets[1].left_out.at("no profile stands for GB200 NVL72") == 1);
}

TEST_CASE("a dispatch that fills the NICs is predicted by their rate, and what cannot be dealt is counted") {
  JudgeOptions options;
  options.configs = FABRICAST_SOURCE_DIR "/configs";
  const tests::TemporaryFolder folder("judge_exchanges");
  std::vector<std::string> notes;
  const auto path = folder.write("t.csv", normal + "h100_or_h200,2,7168,16384,8,256,132,132,2700,6000\nh100_or_h200,8,7168,512,8,288,20,20,900,1100\n"
                                                   "h100_or_h200,32,7168,512,8,256,20,20,900,1100\n");
  const auto rows = judge(read_sets({path.string()}, notes), options, notes);
  REQUIRE(rows.size() == 2);
  // With SMs to spare: half of the copies cross, at 0.87 of 50 GB/s, after 27 us
  const double crossing = 16384 * (1 - none_of_eight(128, 256)) * 7392;
  CHECK(rows[0].predicted.value() == doctest::Approx(crossing / (0.87 * 50e9) + 27e-6).epsilon(0.03));
  REQUIRE(notes.size() == 2);
  CHECK(notes[0].find("2 rows of collectives have experts that cannot be dealt") != std::string::npos);
  CHECK(notes[1].find("2 rows of collectives have more members than the cluster, 16 x 8 GPUs") != std::string::npos);
}

TEST_CASE("hostile tables of exchanges earn one line each") {
  check_refused(normal + "h100_sxm,0,7168,512,8,256,20,20,900,1100\n", "node_num");
  check_refused(normal + "h100_sxm,1,7168,99999999,8,256,20,20,900,1100\n", "write 1 to 1048576");
  check_refused(normal + "h100_sxm,1,7168,512,9,8,20,20,900,1100\n", "is more than the experts that a token may choose from");
  check_refused(normal + "h100_sxm,8,7168,512,8,8,20,20,900,1100\n", "is more than the experts that a token may choose from");   // half of eight
  check_refused(normal + "h100_sxm,1,7168,512,8,256,0,20,900,1100\n", "dispatch_sms");
  check_refused(normal + "h100_sxm,1,7168,512,8,256,20,20,0,1100\n", "t.csv:2");
  check_refused(low_latency + "h100_sxm,1,7168,128,8,256,inf,300\n", "t.csv:2");
  check_refused(documents + "a,H800,normal,64,,51,,50\n", "gives no number before ' tok'");
  check_refused(documents + "a,H800,normal 4096 tok,12,,51,,50\n", "does not fill nodes of 8");
  check_refused(documents + "a,H800,sideways 4096 tok,8,,51,,50\n", "there are: normal, low-latency, V2");
  check_refused(documents + "a,H800,normal 4096 tok,64,,,,50\n", "dispatch_GBps");
  check_refused(hybrid + "H100,64,16,-46,49,49\n", "kern_disp_fp8");
}

}  // namespace fabricast::published_exchanges_test
