// Which attention runs, and that what cuDNN is asked for is attention: with a cuDNN that the host plays (host_cudnn.hpp).
#include "runtime/cuda/attention.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <set>
#include <thread>

#include "runtime/cuda/attention_graph.hpp"
#include "runtime/cuda/cuda_api.hpp"
#include "runtime/cuda/device_bench.hpp"
#include "runtime/cuda/device_run.hpp"
#include "runtime/executor.hpp"
#include "runtime/host_attention.hpp"
#include "runtime/tcp_rendezvous.hpp"
#include "strategies/ir/split_mix.hpp"
#include "tests/runtime/device/host_cudnn.hpp"
#include "tests/runtime/device/host_device.hpp"
#include "tests/runtime/free_port.hpp"
#include "tests/runtime/jobs.hpp"
#include "validation/bench_json.hpp"

namespace fabricast::attention_test {

using namespace fabricast;
using namespace fabricast::tests;
using runtime::AttentionKernels;
using runtime::Bf16;
using runtime::BackendUnavailable;
using runtime::store;
using runtime::to_float;
using runtime::cuda::Attentions;
using runtime::cuda::AttentionSizes;
using runtime::cuda::Rows;

namespace {

constexpr std::size_t workspace_size = 1024;
constexpr AttentionSizes small{2, 5, 4, 2, 8, true}, wide{1, 7, 2, 2, 16, false};

/// q, k and v, and what comes out of them.
template <class Element>
struct Operands {
  AttentionSizes sizes;
  std::vector<Element> qkv, out;

  explicit Operands(const AttentionSizes& s)
      : sizes(s),
        qkv(static_cast<std::size_t>(s.sequences * s.length * s.row_width())),
        out(static_cast<std::size_t>(s.sequences * s.length * s.heads * s.head_dim)) {
    ir::SplitMix64 random(7);
    for (Element& x : qkv) store(static_cast<float>(random.next() >> 40U) * 0x1p-22F - 2.0F, x);
  }
  [[nodiscard]] std::int64_t rows() const { return sizes.sequences * sizes.length; }
  [[nodiscard]] Rows in() { return {reinterpret_cast<std::byte*>(qkv.data()), rows(), sizes.row_width(), sizeof(Element) == 2}; }
  [[nodiscard]] Rows result() { return {reinterpret_cast<std::byte*>(out.data()), rows(), sizes.heads * sizes.head_dim, sizeof(Element) == 2}; }

  [[nodiscard]] std::vector<Element> by_host() {
    std::vector<Element> expected(out.size());
    runtime::attend(runtime::Matrix<Element>{qkv.data(), rows(), sizes.row_width(), sizes.row_width()},
                    {sizes.length, sizes.heads, sizes.kv_heads, sizes.head_dim, sizes.causal},
                    runtime::Matrix<Element>{expected.data(), rows(), sizes.heads * sizes.head_dim, sizes.heads * sizes.head_dim});
    return expected;
  }
  /// Weights are rounded to bf16, and so is the result: two units of bf16's last place of 2, the largest value.
  void check_result() {
    const std::vector<Element> expected = by_host();
    for (std::size_t i = 0; i < out.size(); ++i) {
      CAPTURE(i);
      CHECK(std::abs(to_float(out[i]) - to_float(expected[i])) <= (sizeof(Element) == 2 ? 0x1p-6F : 1e-5F));
    }
  }
};

/// Attentions with a stream, a workspace and what was said.
class Fixture {
 public:
  explicit Fixture(AttentionKernels wanted = AttentionKernels::best)
      : attentions_(wanted, workspace_size, [this](const std::string& line) { said.push_back(line); }),
        stream_(runtime::cuda::make_stream(runtime::cuda::Priority::low)),
        workspace_(workspace_size) {}

  template <class Element>
  void prepare(Operands<Element>& on) {
    attentions_.prepare(on.in(), on.sizes, on.result(), place());
  }
  template <class Element>
  void run(Operands<Element>& on) {
    std::fill(on.out.begin(), on.out.end(), Element{});
    attentions_.run(on.in(), on.sizes, on.result(), place());
    runtime::cuda::check(cudaStreamSynchronize(stream_.get()));
    on.check_result();
  }
  [[nodiscard]] std::string used() const { return attentions_.used(); }
  std::vector<std::string> said;

 private:
  [[nodiscard]] runtime::cuda::AttentionPlace place() { return {stream_.get(), workspace_}; }
  Attentions attentions_;
  runtime::cuda::Stream stream_;
  std::vector<std::byte> workspace_;
};

template <class Body>
std::string message_of(Body body) {
  try {
    body();
  } catch (const BackendUnavailable& error) {
    return error.what();
  }
  return "no BackendUnavailable";
}

void check_contains(const std::string& text, const std::string& part) {
  CAPTURE(text);
  CHECK(text.find(part) != std::string::npos);
}

/// Refuses heads of 16.
std::string not_heads_of_16(const AttentionSizes& sizes) { return sizes.head_dim == 16 ? "CUDNN_STATUS_NOT_SUPPORTED: played" : ""; }

Job bf16_job() {
  Job job = job_on(4, 2, 2);
  job.model.precision = hw::Precision::bf16;
  return job;
}

runtime::MeasuredRun run_on_one_device(const Job& job, runtime::CudaOptions options, std::int32_t timed_steps = 1) {
  runtime::RunOptions run;
  run.warm_up_steps = 0;
  run.timed_steps = timed_steps;
  return runtime::cuda::DeviceRun(schedule_of(job), run, options).run();
}

}  // namespace

TEST_CASE("attention's graph: what it says, read by its sizes and strides, is attention") {
  for (const bool causal : {true, false}) {
    for (const std::int64_t kv_heads : {1, 2, 6}) {
      for (const std::int64_t length : {1, 9}) {
        CAPTURE(kv_heads);
        CAPTURE(length);
        Operands<Bf16> on({3, length, 6, kv_heads, 8, causal});
        const runtime::cuda::AttentionGraph graph = runtime::cuda::attention_graph(on.sizes);
        runtime::cuda::AttentionNumbers numbers = runtime::cuda::attention_numbers(on.sizes);
        const auto operands = runtime::cuda::attention_operands(graph, on.sizes, numbers, on.in().data, on.result().data);
        interpret(graph, operands);
        on.check_result();
        std::set<runtime::cuda::GraphTensorId> bound, outside;   // every tensor that no operation makes has a place, once
        for (const auto& operand : operands) CHECK(bound.insert(operand.tensor).second);
        for (std::size_t i = 0; i < graph.tensors.size(); ++i) {
          if (graph.tensors[i].place != runtime::cuda::GraphTensor::Place::between) outside.insert(static_cast<runtime::cuda::GraphTensorId>(i));
        }
        CHECK(bound == outside);
      }
    }
  }
}

TEST_CASE("attention: bf16 is the library's, fp32 our own, and each says so") {
  const WithHostCudnn there;
  Fixture fixture;
  Operands<float> fp32(small);
  fixture.run(fp32);
  CHECK(host_cudnn().opened == 0);
  CHECK(fixture.used() == "own");
  Operands<Bf16> bf16(small);
  fixture.run(bf16);
  CHECK(host_cudnn().ran == 1);
  CHECK(fixture.used() == "cuDNN 9.0.0, played and own");
  CHECK(fixture.said.empty());
  Fixture other;
  CHECK(other.used().empty());
  other.run(bf16);
  CHECK(other.used() == "cuDNN 9.0.0, played");
}

TEST_CASE("attention: a kernel is chosen once for a shape, before it runs") {
  const WithHostCudnn there;
  Fixture fixture;
  Operands<Bf16> first(small), same(small), another(wide), longer({2, 6, 4, 2, 8, true}), all_seen({2, 5, 4, 2, 8, false});
  fixture.prepare(first);
  fixture.prepare(same);
  CHECK(host_cudnn().opened == 1);
  CHECK(host_cudnn().chosen == 1);
  CHECK(host_cudnn().prepared == 2);   // each has memory of its own
  fixture.prepare(another);
  fixture.prepare(longer);
  fixture.prepare(all_seen);
  CHECK(host_cudnn().chosen == 4);
  for (Operands<Bf16>* on : {&first, &same, &another, &longer, &all_seen, &first}) fixture.run(*on);
  CHECK(host_cudnn().chosen == 4);
  CHECK(host_cudnn().ran == 6);
}

TEST_CASE("attention: without the library our own runs, and one line says why") {
  Fixture fixture;
  Operands<Bf16> one(small), two(wide);
  fixture.prepare(one);
  fixture.prepare(two);
  fixture.run(one);
  fixture.run(two);
  CHECK(host_cudnn().ran == 0);
  CHECK(fixture.used() == "own (cuDNN is not there: played)");
  REQUIRE(fixture.said.size() == 1);
  check_contains(fixture.said[0], "cuDNN is not there: played");
  host_cudnn() = {};
}

TEST_CASE("attention: a shape that the library does not take is our own's, named with the library's word, and the others are not") {
  const WithHostCudnn picky({true, not_heads_of_16, false});
  Fixture fixture;
  Operands<Bf16> taken(small), refused(wide);
  fixture.prepare(refused);
  fixture.prepare(taken);
  fixture.run(refused);
  fixture.run(taken);
  fixture.run(refused);
  CHECK(host_cudnn().chosen == 2);
  CHECK(host_cudnn().ran == 1);
  REQUIRE(fixture.said.size() == 1);
  check_contains(fixture.said[0], "attention of 1 sequences of 7, 2 heads of 16: ");
  check_contains(fixture.said[0], "cuDNN 9.0.0, played: CUDNN_STATUS_NOT_SUPPORTED: played");
  CHECK(fixture.said[0].find('\n') == std::string::npos);
  check_contains(fixture.used(), "cuDNN 9.0.0, played and own (cuDNN 9.0.0, played: CUDNN_STATUS_NOT_SUPPORTED: played)");
}

TEST_CASE("attention: a kernel that fails to run is our own's from then on, with the same numbers") {
  const WithHostCudnn there;
  Fixture fixture;
  Operands<Bf16> on(small);
  fixture.run(on);
  host_cudnn().fails_to_run = true;
  fixture.run(on);
  host_cudnn().fails_to_run = false;
  fixture.run(on);
  CHECK(host_cudnn().ran == 1);
  REQUIRE(fixture.said.size() == 1);
  check_contains(fixture.said[0], "attention of 2 sequences of 5, 4 heads of 8 (2 of keys and values), causal: ");
  check_contains(fixture.said[0], "CUDNN_STATUS_EXECUTION_FAILED");
  check_contains(fixture.used(), "own (");
}

TEST_CASE("attention: our own, asked for, opens no library, and the library, asked for, runs or refuses") {
  Operands<Bf16> bf16(small), refused(wide);
  Operands<float> fp32(small);
  {
    const WithHostCudnn there;
    Fixture own(AttentionKernels::own), library(AttentionKernels::cudnn);
    own.prepare(bf16);
    own.run(bf16);
    CHECK(host_cudnn().opened == 0);
    CHECK(own.used() == "own");
    library.run(bf16);
    CHECK(host_cudnn().ran == 1);
    check_contains(message_of([&] { library.prepare(fp32); }), "in bf16, not in fp32");
    host_cudnn().why_not = not_heads_of_16;
    check_contains(message_of([&] { library.prepare(refused); }), "heads of 16: cuDNN 9.0.0, played: CUDNN_STATUS_NOT_SUPPORTED: played; ");
    host_cudnn().fails_to_run = true;
    check_contains(message_of([&] { library.run(bf16); }), "CUDNN_STATUS_EXECUTION_FAILED");
    CHECK(library.said.empty());
  }
  Fixture absent(AttentionKernels::cudnn);
  check_contains(message_of([&] { absent.prepare(bf16); }), "cuDNN is not there: played; without --attention our own kernel runs");
  host_cudnn() = {};
}

TEST_CASE("attention: no rows are nobody's, and a workspace of another size is a fault of ours") {
  const WithHostCudnn there;
  Fixture fixture;
  Operands<Bf16> none({0, 5, 4, 2, 8, true});
  fixture.prepare(none);
  fixture.run(none);
  CHECK(host_cudnn().opened == 0);
  CHECK(fixture.used().empty());
  Attentions attentions(AttentionKernels::best, 2 * workspace_size, {});
  Operands<Bf16> on(small);
  std::vector<std::byte> less(workspace_size);
  CHECK_THROWS_AS(attentions.run(on.in(), on.sizes, on.result(), {nullptr, less}), std::logic_error);
}

TEST_CASE("virtual ranks with the library's attention: numbers, and a kernel a shape however many ranks, layers and steps") {
  const WithHostCudnn there;
  runtime::CudaOptions options;
  class Executor final : public runtime::Executor {
   public:
    explicit Executor(const runtime::CudaOptions& o) : options_(o) {}
    [[nodiscard]] runtime::MeasuredRun run(const ir::Schedule& schedule, const runtime::RunOptions& run) override {
      return runtime::cuda::DeviceRun(schedule, run, options_).run();
    }

   private:
    const runtime::CudaOptions& options_;
  } executor(options);
  CHECK(run_and_check(executor, bf16_job()).machine.attention == "cuDNN 9.0.0, played");
  CHECK(host_cudnn().chosen == 1);
  Job shared = job_on(2, 2);
  shared.model.precision = hw::Precision::bf16;
  shared.model.n_kv_heads = 2;
  CHECK(run_and_check(executor, shared).machine.attention == "cuDNN 9.0.0, played");
  CHECK(host_cudnn().chosen == 2);
  // A step before the timed ones and one after them keep the logits.
  const Job job = bf16_job();
  const int attentions_a_step = static_cast<int>(job.gpus * job.model.layers);
  for (const std::int32_t timed : {1, 4}) {
    host_cudnn() = {true, {}, false};
    (void)run_on_one_device(job, options, timed);
    CHECK(host_cudnn().ran == (timed + 2) * attentions_a_step);
    CHECK(host_cudnn().chosen == 1);
    CHECK(host_cudnn().prepared == attentions_a_step);
  }
}

TEST_CASE("a run says whose attention it ran, and why not the library's") {
  runtime::CudaOptions options;
  std::vector<std::string> warned;
  options.warn = [&](const std::string& line) { warned.push_back(line); };
  CHECK(run_on_one_device(bf16_job(), options).machine.attention == "own (cuDNN is not there: played)");
  CHECK(warned.size() == 1);
  options.attention = AttentionKernels::own;
  CHECK(run_on_one_device(bf16_job(), options).machine.attention == "own");
  CHECK(warned.size() == 1);
  options.attention = AttentionKernels::cudnn;
  const std::string why = message_of([&] { (void)run_on_one_device(bf16_job(), options); });
  check_contains(why, "rank 0");
  check_contains(why, "cuDNN is not there");
  host_cudnn() = {};
  CHECK(things_alive() == 0);
}

TEST_CASE("a job of several processes says whose attention rank 0 ran, and who ran another") {
  Job job = job_on(3);
  job.model.precision = hw::Precision::bf16;
  job.workload.sequences = 3;
  const ir::Schedule schedule = schedule_of(job);
  const std::uint16_t port = free_port();
  std::vector<std::string> attention(3);
  {
    std::vector<std::jthread> ranks;
    for (std::int32_t r = 0; r < 3; ++r) {
      ranks.emplace_back([&, r] {
        runtime::TcpRendezvous rendezvous({"127.0.0.1", port, Rank{r}, 3, Seconds(60)});
        runtime::CudaOptions options;
        options.mode = runtime::CudaMode::distributed;
        options.rank = Rank{r};
        options.rendezvous = &rendezvous;
        if (r > 0) options.attention = AttentionKernels::own;
        runtime::RunOptions run;
        run.warm_up_steps = 0;
        run.timed_steps = 1;
        attention[static_cast<std::size_t>(r)] = runtime::cuda::DeviceRun(schedule, run, options).run().machine.attention;
      });
    }
  }
  for (const std::string& said : attention) CHECK(said == "own (cuDNN is not there: played); of rank 1: own");
  host_cudnn() = {};
}

TEST_CASE("micro-benchmarks time the library's attention, leave out what it was to do and cannot, and their file says which it was") {
  runtime::BenchPlan plan;
  plan.kernels.emplace_back(hw::Attention<std::int64_t>{2, 6, 6, 4, 2, 8, true, hw::Precision::bf16});
  plan.kernels.emplace_back(hw::Attention<std::int64_t>{1, 6, 6, 4, 2, 16, true, hw::Precision::bf16});
  runtime::CudaBenchOptions options;
  options.repetitions = 3;
  const WithHostCudnn picky({true, not_heads_of_16, false});
  runtime::BenchResults results = runtime::cuda::run_on_device(plan, options);
  CHECK(results.kernels.size() == 2);
  CHECK(host_cudnn().ran > 3);
  check_contains(validation::to_json(results, "a test", "2026-11-27T00:00:00Z"), "\"attention\": \"cuDNN 9.0.0, played and own (");
  options.attention = AttentionKernels::cudnn;
  results = runtime::cuda::run_on_device(plan, options);
  CHECK(results.kernels.size() == 1);
  REQUIRE(results.left_out.size() == 1);
  check_contains(results.left_out[0].why, "CUDNN_STATUS_NOT_SUPPORTED: played");
}

}  // namespace fabricast::attention_test
