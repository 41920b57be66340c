#include "runtime/cuda/cuda_api.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

namespace fabricast::runtime::cuda {

constexpr const char* compiled_for_others = ": this program was compiled for other GPUs; configure with -DCMAKE_CUDA_ARCHITECTURES";

void check(cudaError_t status, std::source_location where) {
  if (status == cudaSuccess) return;
  (void)cudaGetLastError();
  const std::string_view file = where.file_name();
  throw CudaError(fmt::format("{} ({}, at {}:{}){}", cudaGetErrorString(status), cudaGetErrorName(status), file.substr(file.rfind('/') + 1),
                              where.line(), status == cudaErrorNoKernelImageForDevice ? compiled_for_others : ""),
                  status);
}

Stream make_stream(Priority priority) {
  int least = 0, greatest = 0;
  check(cudaDeviceGetStreamPriorityRange(&least, &greatest));
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithPriority(&stream, cudaStreamNonBlocking, priority == Priority::high ? greatest : least));
  return Stream(stream);
}

Event make_event() {
  cudaEvent_t event = nullptr;
  check(cudaEventCreate(&event));
  return Event(event);
}

/// "Not ready" is the runtime's last error, too, until somebody fetches it: the next launch would be taken to have failed.
bool has_passed(cudaEvent_t event) {
  const cudaError_t status = cudaEventQuery(event);
  if (status != cudaErrorNotReady) return check(status), true;
  (void)cudaGetLastError();
  return false;
}

DeviceMemory::DeviceMemory(Bytes size) : size_(static_cast<std::size_t>(size.value())) {
  void* memory = nullptr;
  check(cudaMalloc(&memory, std::max<std::size_t>(size_, 256)));
  memory_ = Owned<std::byte*, cudaFree>(static_cast<std::byte*>(memory));
}

void upload(std::span<const std::byte> from, std::byte* to) {
  if (from.empty()) return;   // of no table there is no address either
  check(cudaMemcpy(to, from.data(), from.size(), cudaMemcpyHostToDevice));
  check(cudaStreamSynchronize(nullptr));
}

PinnedMemory::PinnedMemory(std::size_t size) : size_(size) {
  void* memory = nullptr;
  check(cudaMallocHost(&memory, std::max<std::size_t>(size_, 256)));
  memory_ = Owned<std::byte*, cudaFreeHost>(static_cast<std::byte*>(memory));
}

}  // namespace fabricast::runtime::cuda
