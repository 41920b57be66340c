// cuDNN's graph API with owners and exceptions, from a library that is opened at run time: the one header that includes it. Calls nothing of
// the CUDA runtime, and knows no attention.
#pragma once

#include <cudnn_graph.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace fabricast::runtime::cuda {

/// "CUDNN_STATUS_NOT_SUPPORTED: what cuDNN last had to say"
class CudnnError : public std::runtime_error {
 public:
  CudnnError(const std::string& message, cudnnStatus_t status) : std::runtime_error(message), status_(status) {}
  [[nodiscard]] cudnnStatus_t status() const { return status_; }

 private:
  cudnnStatus_t status_;
};

/// Its functions. Stays open until the process ends.
struct Cudnn {
  /// Throws std::runtime_error, in one line: it is not there, it lacks a function, or its version is not one that this can use.
  Cudnn();

  [[nodiscard]] std::string version_text() const;
  /// Throws CudnnError.
  void check(cudnnStatus_t status) const;
  /// Why it refused last, as it puts it; of several reasons the first. Empty: nothing was refused.
  [[nodiscard]] std::string last_words() const;

  decltype(&cudnnGetVersion) version = nullptr;
  decltype(&cudnnGetErrorString) error_string = nullptr;
  decltype(&cudnnGetLastErrorString) last_error_string = nullptr;
  decltype(&cudnnCreate) create = nullptr;
  decltype(&cudnnDestroy) destroy = nullptr;
  decltype(&cudnnSetStream) set_stream = nullptr;
  decltype(&cudnnBackendCreateDescriptor) create_descriptor = nullptr;
  decltype(&cudnnBackendDestroyDescriptor) destroy_descriptor = nullptr;
  decltype(&cudnnBackendSetAttribute) set_attribute = nullptr;
  decltype(&cudnnBackendGetAttribute) get_attribute = nullptr;
  decltype(&cudnnBackendFinalize) finalize = nullptr;
  decltype(&cudnnBackendExecute) execute = nullptr;
};

/// Of the current device. `cudnn` must outlive it.
class CudnnHandle {
 public:
  explicit CudnnHandle(const Cudnn& cudnn) : cudnn_(cudnn) { cudnn.check(cudnn.create(&handle_)); }
  CudnnHandle(const CudnnHandle&) = delete;
  CudnnHandle& operator=(const CudnnHandle&) = delete;
  ~CudnnHandle() { (void)cudnn_.destroy(handle_); }
  [[nodiscard]] cudnnHandle_t get() const { return handle_; }

 private:
  const Cudnn& cudnn_;
  cudnnHandle_t handle_ = nullptr;
};

/// A descriptor: attributes are set, then it is finalized. `cudnn` must outlive it. Throws CudnnError.
class CudnnDescriptor {
 public:
  CudnnDescriptor(const Cudnn& cudnn, cudnnBackendDescriptorType_t type) : cudnn_(&cudnn) {
    cudnn.check(cudnn.create_descriptor(type, &descriptor_));
  }
  CudnnDescriptor(CudnnDescriptor&& other) noexcept : cudnn_(other.cudnn_), descriptor_(std::exchange(other.descriptor_, nullptr)) {}
  CudnnDescriptor& operator=(CudnnDescriptor&& other) noexcept {
    std::swap(cudnn_, other.cudnn_);
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~CudnnDescriptor() {
    if (descriptor_) (void)cudnn_->destroy_descriptor(descriptor_);
  }
  [[nodiscard]] cudnnBackendDescriptor_t get() const { return descriptor_; }

  /// Values must be of the type that `type` names.
  template <class Value>
  void set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, std::span<const Value> values) {
    cudnn_->check(cudnn_->set_attribute(descriptor_, name, type, static_cast<std::int64_t>(values.size()), values.data()));
  }
  template <class Value>
  void set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, const Value& value) {
    set(name, type, std::span<const Value>(&value, 1));
  }
  void set(cudnnBackendAttributeName_t name, const CudnnDescriptor& value) { set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, value.descriptor_); }
  void finalize() { cudnn_->check(cudnn_->finalize(descriptor_)); }

  [[nodiscard]] std::int64_t number(cudnnBackendAttributeName_t name) const;
  /// So many descriptors of a type as there are.
  [[nodiscard]] std::vector<CudnnDescriptor> descriptors(cudnnBackendAttributeName_t name, cudnnBackendDescriptorType_t type) const;
  [[nodiscard]] std::vector<cudnnBackendNumericalNote_t> numerical_notes() const;   // of an engine

 private:
  const Cudnn* cudnn_;
  cudnnBackendDescriptor_t descriptor_ = nullptr;
};

}  // namespace fabricast::runtime::cuda
