#include "hardware_models/kernels.hpp"

#include <doctest/doctest.h>

namespace fabricast::kernels_test {

using namespace fabricast;
using namespace fabricast::hw;

namespace {

constexpr Precision bf16 = Precision::bf16;
constexpr double tera = 1e12;

Attention<std::int64_t> attention(std::int64_t sequences, std::int64_t queries, std::int64_t keys, bool causal) {
  return {sequences, queries, keys, 16, 16, 128, causal, bf16};
}

}  // namespace

TEST_CASE("a GEMM is 2·m·n·k FLOP and reads and writes each operand once") {
  const Kernel gemm = Gemm<std::int64_t>{3, 5, 7, bf16};
  CHECK(flop(gemm) == Flop(2 * 3 * 5 * 7));
  CHECK(memory_traffic(gemm) == Bytes(2 * (3 * 7 + 7 * 5 + 3 * 5)));
}

TEST_CASE("an fp8 GEMM reads bytes and writes bf16") {
  CHECK(memory_traffic(Gemm<std::int64_t>{3, 5, 7, Precision::fp8}) == Bytes(3 * 7 + 7 * 5 + 2 * 3 * 5));
}

TEST_CASE("a grouped GEMM is the sum of its experts' GEMMs, and an expert without rows leaves its weight unread") {
  const Kernel grouped = GroupedGemm<ExpertRowCounts>{{3, 0, 4}, 5, 7, bf16};
  const Kernel first = Gemm<std::int64_t>{3, 5, 7, bf16}, third = Gemm<std::int64_t>{4, 5, 7, bf16};
  CHECK(flop(grouped) == flop(first) + flop(third));
  CHECK(memory_traffic(grouped) == memory_traffic(first) + memory_traffic(third));
}

// 4·sequences·heads·q·kv·head_dim; causal with q = kv: half of it.
TEST_CASE("causal attention over its own tokens is exactly half of full attention") {
  const Kernel full = attention(2, 1000, 1000, false), causal = attention(2, 1000, 1000, true);
  CHECK(flop(full) == Flop(4.0 * 2 * 16 * 1000 * 1000 * 128));
  CHECK(flop(causal) == flop(full) / 2.0);
  CHECK(memory_traffic(causal) == Bytes(2 * 2 * 128 * (2 * 1000 * 16 + 2 * 1000 * 16)));
}

// Cut the queries in two: the first half attends to half the keys, the second to all but its own upper triangle.
TEST_CASE("causal attention in two chunks of queries is as much work as in one") {
  CHECK(flop(attention(1, 500, 500, true)) + flop(attention(1, 500, 1000, true)) == flop(attention(1, 1000, 1000, true)));
}

TEST_CASE("attention reads each shared key head once") {
  const Attention<std::int64_t> grouped{1, 100, 100, 16, 2, 128, true, bf16};
  CHECK(memory_traffic(grouped) == Bytes(2 * 128 * (2 * 100 * 16 + 2 * 100 * 2)));
}

TEST_CASE("the router runs on the tensor cores but model FLOP leave it out") {
  const Kernel router = Router<std::int64_t>{10, 4096, 64, 2, bf16};
  CHECK(flop(router) == Flop(2.0 * 10 * 4096 * 64));
  CHECK(model_flop(router) == Flop(0));
  CHECK(model_flop(Gemm<std::int64_t>{3, 5, 7, bf16}) == Flop(210));
  CHECK(model_flop(GroupedGemm<ExpertRowCounts>{{3}, 5, 7, bf16}) == Flop(210));
  CHECK(model_flop(attention(1, 10, 10, false)) == flop(attention(1, 10, 10, false)));
}

TEST_CASE("passes over memory count no FLOP and move what their definition says") {
  CHECK(flop(RmsNorm<std::int64_t>{10, 8, bf16}) == Flop(0));
  CHECK(memory_traffic(RmsNorm<std::int64_t>{10, 8, bf16}) == Bytes(2 * (10 + 10 + 1) * 8));
  CHECK(memory_traffic(Rope<std::int64_t>{10, 8, bf16}) == Bytes(2 * (10 + 10) * 8));
  CHECK(memory_traffic(ResidualAdd<std::int64_t>{10, 8, bf16}) == Bytes(2 * 3 * 10 * 8));
  CHECK(memory_traffic(Activation<std::int64_t>{10, 8, true, bf16}) == Bytes(2 * 3 * 10 * 8));
  CHECK(memory_traffic(Activation<std::int64_t>{10, 8, false, bf16}) == Bytes(2 * 2 * 10 * 8));
  CHECK(memory_traffic(Permute<std::int64_t>{10, 8, bf16}) == Bytes(2 * 2 * 10 * 8));
  CHECK(memory_traffic(WeightedSum<std::int64_t>{5, 10, 8, bf16}) == Bytes(2 * (10 + 5) * 8));
}

TEST_CASE("an embedding reads no more rows than the table has") {
  CHECK(memory_traffic(Embedding<std::int64_t>{10, 8, 100, bf16}) == Bytes(2 * (10 + 10) * 8));
  CHECK(memory_traffic(Embedding<std::int64_t>{1000, 8, 100, bf16}) == Bytes(2 * (100 + 1000) * 8));
}

// EP64_TP2, one rank of 128: 20,000 tokens of 2 sequences per tensor pair, d_model 4096, 32 heads of 128, d_ff 16384 over two ranks
// with gate and up in one product, 40,000 expert rows, head over 51,200 words, 16 layers.
TEST_CASE("the worked example's FLOP by class") {
  const Flop qkv = flop(Gemm<std::int64_t>{20000, 3 * 4096 / 2, 4096, bf16});
  const Flop output = flop(Gemm<std::int64_t>{20000, 4096, 4096 / 2, bf16});
  const Flop attends = flop(attention(2, 10000, 10000, true));
  const ExpertRowCounts rows{40000};
  const Flop gate_up = flop(GroupedGemm<ExpertRowCounts>{rows, 16384, 4096, bf16});
  const Flop experts = gate_up + flop(GroupedGemm<ExpertRowCounts>{rows, 4096, 8192, bf16});
  const Flop head = flop(Gemm<std::int64_t>{20000, 51200 / 2, 4096, bf16});
  CHECK(qkv + output == Flop(1'342'177'280'000.0));
  CHECK(attends == Flop(819'200'000'000.0));
  CHECK(experts == Flop(8'053'063'680'000.0));
  CHECK(head == Flop(4'194'304'000'000.0));
  const Flop rank = 16.0 * (qkv + output + attends + experts) + head;
  CHECK(rank.value() / tera == doctest::Approx(167.6).epsilon(0.0005));
  CHECK(128.0 * rank.value() == doctest::Approx(2.146e16).epsilon(0.0005));
}

TEST_CASE("precisions have their sizes and names") {
  CHECK(element_bytes(Precision::fp32) == 4);
  CHECK(element_bytes(Precision::fp16) == 2);
  CHECK(element_bytes(Precision::bf16) == 2);
  CHECK(element_bytes(Precision::fp8) == 1);
  CHECK(name_of(Precision::fp8) == "fp8");
}

}  // namespace fabricast::kernels_test
