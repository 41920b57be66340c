// cuDNN compiles our attention for an H100 that is not there: its real library, its real compiler, for the GPU that a document describes (its
// "device-less ahead-of-time compilation", since 9.11). What is played is the driver, which takes the kernel and launches nothing
// (played_driver.cpp). Where cuDNN is not installed this says so and ends with 77.
#include "runtime/cuda/cudnn_plan.hpp"

#include <dlfcn.h>
#include <doctest/doctest.h>

#include <cstdio>
#include <memory>

#include "tests/runtime/device/played_driver.hpp"

namespace fabricast::cudnn_plan_test {

using namespace fabricast::runtime::cuda;
using tests::PlayedKernel;

namespace {

/// An H100 SXM as cuDNN describes GPUs (CUDA's device attributes by cuDNN's names; CUDA programming guide, compute capability 9.0).
const char* const h100 = R"({"deviceName": "NVIDIA H100 80GB HBM3", "deviceVer": 900, "driverVer": 13000, "cudaDeviceId": 0,
  "multiProcessorCount": 132, "smClockRateKHz": 1980000, "memClockRateKHz": 2619000, "l2CacheSize": 52428800, "totalGlobalMem": 85045805056,
  "maxSharedMemoryPerBlock": 49152, "maxSharedMemoryPerBlockOptin": 232448, "reservedSharedMemoryPerBlock": 1024,
  "regsPerBlock": 65536, "maxRegistersPerSM": 65536, "maxCtasPerSM": 32, "maxThreadsPerBlock": 1024, "maxThreadsPerSM": 2048, "warpSize": 32,
  "maxGridSize": [2147483647, 65535, 65535], "maxBlockSize": [1024, 1024, 64], "pciDeviceId": 0, "isTccDriver": 0, "supportCoopLaunch": 1})";

constexpr std::size_t least_workspace = std::size_t{4} << 20;   // of any mode of the backend
constexpr AttentionSizes ep64_tp2{2, 10000, 16, 16, 128, true};

std::unique_ptr<Cudnn> cudnn;
std::vector<PlayedKernel>* kernels = nullptr;

struct Compiled {
  std::size_t workspace;
  PlayedKernel kernel;
};

Compiled compile(const AttentionGraph& graph, std::size_t workspace = least_workspace) {
  kernels->clear();
  const CudnnPlan plan = choose_cudnn_plan(*cudnn, CudnnTarget(*cudnn, h100), graph, workspace);
  REQUIRE_FALSE(kernels->empty());
  return {plan.workspace, kernels->back()};
}

template <class Body>
std::string message_of(Body body) {
  try {
    body();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "no error";
}

AttentionGraph without_sum(AttentionGraph graph) {
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    if (graph.nodes[i].operation == GraphOperation::sum) graph.nodes.erase(graph.nodes.begin() + static_cast<std::ptrdiff_t>(i));
  }
  return graph;
}

}  // namespace

TEST_CASE("cuDNN compiles our attention for an H100, fused into one kernel, within the workspace that any mode has") {
  const struct {
    const char* what;
    AttentionSizes sizes;
    const char* made_for;
  } cases[] = {
      {"the EP64_TP2 job, a rank's share", ep64_tp2, "sdpa_sm90"},
      {"one sequence", {1, 10000, 16, 16, 128, true}, "sdpa_sm90"},
      {"heads of keys shared by four", {1, 10000, 16, 4, 128, true}, "sdpa_sm90"},
      {"one head of keys", {2, 4096, 8, 1, 128, true}, "sdpa_sm90"},
      {"an odd length", {1, 10001, 16, 4, 128, true}, "sdpa_sm90"},
      {"sixteen sequences of an odd length", {16, 777, 8, 8, 128, true}, "sdpa_sm90"},
      {"heads of 64", {3, 150, 4, 2, 64, true}, "sdpa_sm90"},
      {"all keys seen", {2, 10000, 16, 16, 128, false}, "sdpa_sm90"},
      {"heads of 8, as tiny models have", {2, 6, 4, 2, 8, true}, "sdpa_sm"},
      {"one token", {4, 1, 8, 8, 128, true}, "sdpa_sm"},
  };
  for (const auto& [what, sizes, made_for] : cases) {
    CAPTURE(what);
    const Compiled compiled = compile(attention_graph(sizes));
    CHECK(kernels->size() == 1);
    CHECK(compiled.workspace <= least_workspace);
    CHECK(compiled.kernel.is_for_gpu);
    CHECK(compiled.kernel.compute_capability == 90);
    CAPTURE(compiled.kernel.name);
    CHECK(compiled.kernel.name.find(made_for) != std::string::npos);
    CHECK(compiled.kernel.name.find("fprop") != std::string::npos);
    std::printf("%-40s %3zu bytes of workspace, %s\n", what, compiled.workspace, compiled.kernel.name.c_str());
  }
}

TEST_CASE("cuDNN's kernel is another where some keys are hidden") {
  AttentionSizes all_seen = ep64_tp2;
  all_seen.causal = false;
  CHECK(compile(attention_graph(ep64_tp2)).kernel.image != compile(attention_graph(all_seen)).kernel.image);
}

TEST_CASE("cuDNN keeps to the workspace that there is") { CHECK(compile(attention_graph(ep64_tp2), 0).workspace == 0); }

TEST_CASE("cuDNN takes what a launch is handed") {
  std::vector<std::byte> qkv(2 * 5 * 64 * 2), out(2 * 5 * 32 * 2), workspace(256);
  for (const bool causal : {true, false}) {
    const AttentionSizes sizes{2, 5, 4, 2, 8, causal};
    const AttentionGraph graph = attention_graph(sizes);
    AttentionNumbers numbers = attention_numbers(sizes);
    const auto operands = attention_operands(graph, sizes, numbers, qkv.data(), out.data());
    CHECK(operands.size() == (causal ? 6 : 5));
    CHECK_NOTHROW((void)cudnn_operands(*cudnn, operands, workspace));
  }
}

// Our own attention shares heads of keys in another way than cuDNN where they do not divide.
TEST_CASE("what cuDNN does not take it refuses in one line: heads of 20 elements, 4 of keys for 6, a graph without its sum, a GPU that is none") {
  const auto refused = [](const AttentionGraph& graph) { return message_of([&] { (void)compile(graph); }); };
  const std::string heads = refused(attention_graph({1, 64, 4, 4, 20, true})), shared = refused(attention_graph({1, 64, 6, 4, 64, true})),
                    graph = refused(without_sum(attention_graph(ep64_tp2))), gpu = message_of([] { (void)CudnnTarget(*cudnn, R"({"deviceVer": 900})"); });
  for (const std::string& why : {heads, shared, graph, gpu}) {
    std::printf("%s\n", why.c_str());
    CHECK(why.find('\n') == std::string::npos);
    CHECK(why.rfind("CUDNN_STATUS_", 0) == 0);
  }
  CHECK(heads.find("NOT_SUPPORTED") != std::string::npos);
  CHECK(graph.find("NOT_SUPPORTED") != std::string::npos);
  CHECK(shared.find("BAD_PARAM") != std::string::npos);
  CHECK(gpu.find("BAD_PARAM") != std::string::npos);
}

}  // namespace fabricast::cudnn_plan_test

int main(int argc, char** argv) {
  using namespace fabricast;
  constexpr int skipped = 77;
  constexpr std::size_t first_without_device = 91100;
  const auto skip = [](const std::string& why) {
    std::printf("SKIPPED, nothing was tested: %s\n", why.c_str());
    return skipped;
  };
  // Before cuDNN looks for libcuda.so.1: a library of that name is then there already.
  void* const driver = argc > 1 ? dlopen(argv[1], RTLD_NOW | RTLD_GLOBAL) : nullptr;
  if (!driver) {
    std::printf("no driver to play with: %s\n", argc > 1 ? dlerror() : "its path is the argument");
    return 1;
  }
  cudnn_plan_test::kernels = static_cast<std::vector<tests::PlayedKernel>*>(reinterpret_cast<void* (*)()>(dlsym(driver, tests::played_kernels))());
  try {
    cudnn_plan_test::cudnn = std::make_unique<runtime::cuda::Cudnn>();
  } catch (const std::runtime_error& error) {
    return skip(error.what());
  }
  if (cudnn_plan_test::cudnn->version() < first_without_device) {
    return skip("cuDNN " + cudnn_plan_test::cudnn->version_text() + " compiles for no GPU but its own; 9.11 and later do");
  }
  std::printf("cuDNN %s\n", cudnn_plan_test::cudnn->version_text().c_str());
  doctest::Context context;
  return context.run();
}
