// NCCL with owners and exceptions: the one header that includes it. Knows no schedule.
#pragma once

#include <nccl.h>

#include <source_location>
#include <stdexcept>
#include <string>
#include <utility>

namespace fabricast::runtime::cuda {

class NcclError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// "NCCL: unhandled cuda error (ncclUnhandledCudaError, at nccl_transport.cpp:90): ..." with what NCCL last had to say.
void check(ncclResult_t result, std::source_location where = std::source_location::current());

/// Throws BackendUnavailable where the library that was found at run time is not one that this can use.
void require_nccl();

/// Ends without waiting for peers, who may be gone: aborted, not destroyed. All of its work must have ended by then, or be given up.
class Communicator {
 public:
  Communicator() = default;
  explicit Communicator(ncclComm_t communicator) : communicator_(communicator) {}
  Communicator(Communicator&& other) noexcept : communicator_(other.communicator_) { other.communicator_ = nullptr; }
  Communicator& operator=(Communicator&& other) noexcept {
    std::swap(communicator_, other.communicator_);
    return *this;
  }
  ~Communicator() { abort(); }
  [[nodiscard]] ncclComm_t get() const { return communicator_; }
  void abort() noexcept {
    if (communicator_) (void)ncclCommAbort(communicator_);
    communicator_ = nullptr;
  }

 private:
  ncclComm_t communicator_ = nullptr;
};

/// Of all at once: each frees memory, for which CUDA waits for all of the device, and so for kernels of the others that wait for peers. NCCL
/// takes aborts as a group since 2.22.
template <class Communicators>
void abort_all(Communicators& communicators) noexcept {
  (void)ncclGroupStart();
  for (auto& [key, communicator] : communicators) communicator.abort();
  (void)ncclGroupEnd();
}

/// What `members` need to come together: made by one of them, 128 bytes.
using UniqueId = ncclUniqueId;
[[nodiscard]] UniqueId new_unique_id();
/// At most so many CTAs; 0: as NCCL likes. All members call it at the same time, on their own devices.
[[nodiscard]] Communicator connect(const UniqueId& id, int members, int member, int most_ctas);

}  // namespace fabricast::runtime::cuda
