// The CUDA runtime with owners and exceptions: the one header that includes it. Knows no schedule.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <source_location>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>

#include "hardware_models/units.hpp"

namespace fabricast::runtime::cuda {

/// "an illegal memory access was encountered (cudaErrorIllegalAddress, at gemm.cpp:41)"
class CudaError : public std::runtime_error {
 public:
  CudaError(const std::string& message, cudaError_t status) : std::runtime_error(message), status_(status) {}
  [[nodiscard]] cudaError_t status() const { return status_; }

 private:
  cudaError_t status_;
};

/// Throws CudaError, and leaves no error behind that a later launch would be taken to have made.
void check(cudaError_t status, std::source_location where = std::source_location::current());

/// An owned handle: destroyed by `destroy`, whatever it returns.
template <class Handle, auto destroy>
class Owned {
 public:
  Owned() = default;
  explicit Owned(Handle handle) : handle_(handle) {}
  Owned(Owned&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Owned& operator=(Owned&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Owned() {
    if (handle_) (void)destroy(handle_);
  }
  [[nodiscard]] Handle get() const { return handle_; }

 private:
  Handle handle_ = nullptr;
};

using Stream = Owned<cudaStream_t, cudaStreamDestroy>;
using Event = Owned<cudaEvent_t, cudaEventDestroy>;

/// Of the highest priority for communication, which then gets its few SMs before a wave of computation does.
enum class Priority : std::uint8_t { low, high };
[[nodiscard]] Stream make_stream(Priority priority);
/// With a time stamp.
[[nodiscard]] Event make_event();
/// Asked without waiting: is the stream past what was recorded last? Throws CudaError.
[[nodiscard]] bool has_passed(cudaEvent_t event);

/// Memory of the current device, or of the host where the device reads and writes it directly.
class DeviceMemory {
 public:
  DeviceMemory() = default;
  explicit DeviceMemory(Bytes size);
  [[nodiscard]] std::span<std::byte> span() const { return {memory_.get(), size_}; }
  [[nodiscard]] std::byte* data() const { return memory_.get(); }

 private:
  Owned<std::byte*, cudaFree> memory_;
  std::size_t size_ = 0;
};

/// From the host to the device's memory, and there when this returns. (cudaMemcpy alone may return before: streams that do not wait for the
/// default one could come first.)
void upload(std::span<const std::byte> from, std::byte* to);

class PinnedMemory {
 public:
  PinnedMemory() = default;
  explicit PinnedMemory(std::size_t size);
  [[nodiscard]] std::span<std::byte> span() const { return {memory_.get(), size_}; }

 private:
  Owned<std::byte*, cudaFreeHost> memory_;
  std::size_t size_ = 0;
};

}  // namespace fabricast::runtime::cuda
