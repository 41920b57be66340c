#include "runtime/thread_transport.hpp"

#include <doctest/doctest.h>

#include <numeric>
#include <string>
#include <thread>

#include "hardware_models/collectives.hpp"
#include "runtime/bf16.hpp"
#include "runtime/exchange_data.hpp"

namespace fabricast::thread_transport_test {

using namespace fabricast;
using namespace fabricast::runtime;
using hw::CollectiveKind;

namespace {

using Values = std::vector<float>;

Bytes bytes_of(std::size_t floats) { return Bytes(static_cast<std::int64_t>(floats * sizeof(float))); }

/// counts in floats.
ExchangeShape shape_of(CollectiveKind kind, std::size_t members, const std::vector<std::size_t>& counts) {
  ExchangeShape shape{kind, members, {}, hw::Precision::fp32};
  for (const std::size_t count : counts) shape.counts.push_back(bytes_of(count));
  return shape;
}

std::span<const std::byte> in_bytes(const Values& values) { return std::as_bytes(std::span(values)); }
std::span<std::byte> out_bytes(Values& values) { return std::as_writable_bytes(std::span(values)); }

/// Member m's input: m · 1000, m · 1000 + 1, …
Values numbered(std::size_t member, Bytes size) {
  Values values(static_cast<std::size_t>(size.value()) / sizeof(float));
  std::iota(values.begin(), values.end(), static_cast<float>(member * 1000));
  return values;
}

/// Until the part has ended.
void complete(Transport& transport, const Exchange& part, Doorbell& bell) {
  transport.arrive(part, bell);
  while (true) {
    const auto seen = bell.rings();
    if (transport.advance(part)) return;
    bell.wait(seen);
  }
}

/// Outputs by member after `steps` rounds of the same collective, each member in a thread of its own.
std::vector<Values> exchange(const ExchangeShape& shape, const std::vector<Values>& inputs, int steps, Bytes* moved = nullptr) {
  ThreadTransport transport({shape});
  std::vector<Values> outputs;
  for (std::size_t m = 0; m < shape.members; ++m)
    outputs.emplace_back(static_cast<std::size_t>(expected_output(shape, m).value()) / sizeof(float), -1.0F);
  std::vector<Doorbell> bells(shape.members);
  for (int step = 0; step < steps; ++step) {
    std::vector<std::jthread> threads;
    for (std::size_t m = 0; m < shape.members; ++m) {
      threads.emplace_back([&, m] { complete(transport, {ir::InstanceId{0}, m, in_bytes(inputs[m]), out_bytes(outputs[m])}, bells[m]); });
    }
  }
  if (moved) *moved = transport.moved(ir::InstanceId{0});
  return outputs;
}

std::vector<Values> exchange(const ExchangeShape& shape, int steps = 1, Bytes* moved = nullptr) {
  std::vector<Values> inputs;
  for (std::size_t m = 0; m < shape.members; ++m) inputs.push_back(numbered(m, expected_input(shape, m)));
  return exchange(shape, inputs, steps, moved);
}

Values concatenate(const std::vector<Values>& parts) {
  Values all;
  for (const Values& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

}  // namespace

TEST_CASE("all-gather: everybody ends with all shards in member order, unequal and empty ones included") {
  const auto shape = shape_of(CollectiveKind::all_gather, 4, {3, 0, 700, 1});
  const Values all = concatenate({numbered(0, bytes_of(3)), numbered(2, bytes_of(700)), numbered(3, bytes_of(1))});
  for (const Values& out : exchange(shape)) CHECK(out == all);
}

TEST_CASE("reduce-scatter: member i ends with shard i of the sum") {
  // Σ_m (m·1000 + j) over 3 members = 3000 + 3j
  const auto out = exchange(shape_of(CollectiveKind::reduce_scatter, 3, {300, 2, 0}));
  for (std::size_t j = 0; j < 300; ++j) CHECK(out[0][j] == static_cast<float>(3000 + 3 * j));
  CHECK(out[1] == Values{3900.0F, 3903.0F});
  CHECK(out[2].empty());
}

TEST_CASE("sums run in member order: (1e8 + 1) - 1e8 is 0 in fp32, (1e8 - 1e8) + 1 is 1") {
  const auto shape = shape_of(CollectiveKind::reduce_scatter, 3, {1, 0, 0});
  for (int repetition = 0; repetition < 20; ++repetition) {
    CHECK(exchange(shape, {{1e8F}, {1.0F}, {-1e8F}}, 1)[0] == Values{0.0F});
    CHECK(exchange(shape, {{1e8F}, {-1e8F}, {1.0F}}, 1)[0] == Values{1.0F});
  }
}

TEST_CASE("all-reduce: everybody ends with the sum, also where it does not divide, also in place") {
  for (const std::size_t size : {std::size_t{1}, std::size_t{7}, std::size_t{1000}}) {
    const auto shape = shape_of(CollectiveKind::all_reduce, 3, {size});
    Values expected(size);
    for (std::size_t j = 0; j < size; ++j) expected[j] = static_cast<float>(3000 + 3 * j);
    for (const Values& out : exchange(shape)) CHECK(out == expected);

    ThreadTransport transport({shape});
    std::vector<Values> buffers;
    for (std::size_t m = 0; m < 3; ++m) buffers.push_back(numbered(m, bytes_of(size)));
    std::vector<Doorbell> bells(3);
    {
      std::vector<std::jthread> threads;
      for (std::size_t m = 0; m < 3; ++m) {
        threads.emplace_back([&, m] {
          complete(transport, {ir::InstanceId{0}, m, in_bytes(buffers[m]), out_bytes(buffers[m])}, bells[m]);
        });
      }
    }
    for (const Values& buffer : buffers) CHECK(buffer == expected);
  }
}

TEST_CASE("broadcast: everybody ends with what member 0 had") {
  for (const Values& out : exchange(shape_of(CollectiveKind::broadcast, 3, {5}))) CHECK(out == numbered(0, bytes_of(5)));
}

TEST_CASE("all-to-all: what s sends to d stands at d after what the members before s sent") {
  // counts[s][d]; member s's buffer numbers its elements, so they tell where they come from.
  const auto out = exchange(shape_of(CollectiveKind::all_to_all, 3, {1, 2, 0, 0, 3, 1, 2, 0, 0}));
  CHECK(out[0] == Values{0, 2000, 2001});
  CHECK(out[1] == Values{1, 2, 1000, 1001, 1002});
  CHECK(out[2] == Values{1003});
}

TEST_CASE("send: the receiver ends with the message") {
  const auto out = exchange(shape_of(CollectiveKind::send, 2, {4}));
  CHECK(out[0].empty());
  CHECK(out[1] == numbered(0, bytes_of(4)));
}

TEST_CASE("bf16 is summed in fp32 and rounded once: 256 + 1 + 1 is 258, where rounding each sum would stay at 256") {
  ExchangeShape shape{CollectiveKind::reduce_scatter, 3, {Bytes(2), Bytes(0), Bytes(0)}, hw::Precision::bf16};
  ThreadTransport transport({shape});
  std::vector<Bf16> inputs(3);
  store(256.0F, inputs[0]);
  store(1.0F, inputs[1]);
  store(1.0F, inputs[2]);
  Bf16 out{};
  std::vector<Doorbell> bells(3);
  {
    std::vector<std::jthread> threads;
    for (std::size_t m = 0; m < 3; ++m) {
      threads.emplace_back([&, m] {
        const auto place = m == 0 ? std::as_writable_bytes(std::span(&out, 1)) : std::span<std::byte>{};
        complete(transport, {ir::InstanceId{0}, m, std::as_bytes(std::span(&inputs[m], 1)), place}, bells[m]);
      });
    }
  }
  CHECK(to_float(out) == 258.0F);
}

TEST_CASE("bytes moved between members are those of the lowering, each step anew") {
  const std::vector<std::pair<CollectiveKind, std::vector<std::size_t>>> cases{{CollectiveKind::all_gather, {3, 0, 5}},
                                                                               {CollectiveKind::reduce_scatter, {3, 0, 5}},
                                                                               {CollectiveKind::all_reduce, {9}},
                                                                               {CollectiveKind::broadcast, {9}},
                                                                               {CollectiveKind::all_to_all, {1, 2, 0, 0, 3, 1, 2, 0, 0}}};
  for (const auto& [kind, counts] : cases) {
    INFO(std::string(hw::name_of(kind)));
    const auto shape = shape_of(kind, 3, counts);
    const auto algorithm = kind == CollectiveKind::all_to_all ? hw::CollectiveAlgorithm::flat : hw::CollectiveAlgorithm::ring;
    Bytes lowered;
    for (const auto& phase : hw::lower(kind, algorithm, std::vector(3, NodeId{0}), shape.counts)) {
      for (const auto& transfer : phase.transfers) lowered += transfer.bytes;
    }
    Bytes moved;
    (void)exchange(shape, 4, &moved);
    CHECK(moved == 4 * lowered);
  }
}

TEST_CASE("a part that brings other sizes than agreed is refused, naming them") {
  ThreadTransport transport({shape_of(CollectiveKind::all_gather, 2, {2, 2})});
  Doorbell bell;
  Values two(2), three(3), four(4);
  const auto arrive = [&](const Values& in, Values& out) { transport.arrive({ir::InstanceId{0}, 1, in_bytes(in), out_bytes(out)}, bell); };
  CHECK_THROWS_WITH_AS(arrive(three, four), "all_gather mismatch: member 1 of 2 brings an input of 12 B where 8 B were agreed",
                       std::runtime_error);
  CHECK_THROWS_WITH_AS(arrive(two, three), "all_gather mismatch: member 1 of 2 brings an output of 12 B where 16 B were agreed",
                       std::runtime_error);
}

TEST_CASE("nobody starts before the last has come") {
  ThreadTransport transport({shape_of(CollectiveKind::all_gather, 2, {1, 1})});
  std::vector<Doorbell> bells(2);
  Values in{1.0F}, first(2), second(2);
  const Exchange a{ir::InstanceId{0}, 0, in_bytes(in), out_bytes(first)}, b{ir::InstanceId{0}, 1, in_bytes(in), out_bytes(second)};
  transport.arrive(a, bells[0]);
  CHECK_FALSE(transport.advance(a));
  const auto before = Clock::now();
  const auto rings = bells[0].rings();
  transport.arrive(b, bells[1]);
  CHECK(bells[0].rings() != rings);
  CHECK_FALSE(transport.advance(a));  // its own part is done, the other's is not: its input may not be touched yet
  const auto started = transport.advance(b);
  REQUIRE(started);
  CHECK(*started >= before);
  CHECK(transport.advance(a) == started);
}

}  // namespace fabricast::thread_transport_test
