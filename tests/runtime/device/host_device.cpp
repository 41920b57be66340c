#include "tests/runtime/device/host_device.hpp"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "strategies/ir/split_mix.hpp"

using Clock = std::chrono::steady_clock;

/// One recording of an event. Who waits for it waits for this one, though the event be recorded anew meanwhile.
struct Mark {
  bool is_reached = true;
  Clock::time_point at;
};

struct CUevent_st {
  std::shared_ptr<Mark> last = std::make_shared<Mark>();
};

struct CUstream_st {
  struct Task {
    std::function<void()> work;
    std::function<bool()> is_ready;
  };
  std::deque<Task> tasks;
};

namespace fabricast::tests {
namespace {

struct Device {
  std::recursive_mutex mutex;
  CUstream_st standard;                        // the default stream: no other waits for it, nor it for them; as late as can be
  std::vector<CUstream_st*> streams;
  std::map<void*, std::size_t> memory;
  std::size_t free = std::size_t{1} << 36, events = 0;
  ir::SplitMix64 random{1};
  bool is_broken = false;
};

Device& device() {
  static Device the_device;
  return the_device;
}

bool may_run(const CUstream_st* stream) {
  if (stream->tasks.empty()) return false;
  const auto& head = stream->tasks.front();
  return !head.is_ready || head.is_ready();
}

void run_head(CUstream_st* stream) {
  const auto task = std::move(stream->tasks.front());
  stream->tasks.pop_front();
  if (task.work) task.work();
}

/// One task of a stream: of the first that can go on, from one that is drawn; of the default stream where none of them can. False where none can.
bool run_one() {
  Device& d = device();
  const auto count = static_cast<std::uint32_t>(d.streams.size());
  const std::size_t drawn = count > 0 ? d.random.below(count) : 0;
  for (std::size_t i = 0; i < d.streams.size(); ++i) {
    CUstream_st* const stream = d.streams[(drawn + i) % d.streams.size()];
    if (may_run(stream)) return run_head(stream), true;
  }
  if (may_run(&d.standard)) return run_head(&d.standard), true;
  return false;
}

thread_local cudaError_t last_error = cudaSuccess;

/// What a call returns. Any other than success stays the thread's last error until it is fetched, "not ready" too.
cudaError_t told(cudaError_t status) {
  if (status != cudaSuccess) last_error = status;
  return status;
}
cudaError_t broken() { return told(cudaErrorIllegalAddress); }

template <class Body>
cudaError_t locked(Body body) {
  const std::lock_guard lock(device().mutex);
  if (device().is_broken) return broken();
  body();
  return cudaSuccess;
}

/// Works until `is_done`, or time passes without end. Lets others in meanwhile: what a stream waits for may come from another thread, or by time.
template <class IsDone>
cudaError_t wait_until(IsDone is_done) {
  const auto begin = Clock::now();
  while (Clock::now() - begin < std::chrono::seconds(120)) {
    {
      const std::lock_guard lock(device().mutex);
      if (device().is_broken) return broken();
      if (is_done()) return cudaSuccess;
      if (run_one()) continue;
    }
    std::this_thread::sleep_for(std::chrono::microseconds(20));
  }
  return told(cudaErrorLaunchTimeout);
}

cudaError_t allocate(void** place, std::size_t size) {
  const std::lock_guard lock(device().mutex);
  if (size > device().free) return told(cudaErrorMemoryAllocation);
  *place = std::aligned_alloc(256, (size + 255) / 256 * 256);
  std::memset(*place, 0xA5, std::min(size, std::size_t{1} << 20));   // of workspaces, 32 MiB each, nobody reads
  device().memory[*place] = size;
  device().free -= size;
  return cudaSuccess;
}

cudaError_t release(void* place) {
  const std::lock_guard lock(device().mutex);
  while (run_one()) {}
  const auto found = device().memory.find(place);
  if (found == device().memory.end()) return told(cudaErrorInvalidValue);
  device().free += found->second;
  device().memory.erase(found);
  std::free(place);
  return cudaSuccess;
}

}  // namespace

void enqueue(CUstream_st* stream, std::function<void()> work) {
  const std::lock_guard lock(device().mutex);
  stream->tasks.push_back({std::move(work), {}});
}

void enqueue_when(CUstream_st* stream, std::function<bool()> is_ready, std::function<void()> work) {
  const std::lock_guard lock(device().mutex);
  stream->tasks.push_back({std::move(work), std::move(is_ready)});
}

void draw_streams_by(std::uint64_t seed) { device().random = ir::SplitMix64(seed); }

std::size_t set_free_memory(std::size_t bytes) { return std::exchange(device().free, bytes); }

std::size_t things_alive() { return device().memory.size() + device().streams.size() + device().events; }

void set_broken(bool is_broken) {
  const std::lock_guard lock(device().mutex);
  device().is_broken = is_broken;
  last_error = cudaSuccess;   // another device, so to speak
}

}  // namespace fabricast::tests

namespace t = fabricast::tests;

extern "C" {

cudaError_t cudaGetDeviceCount(int* count) { return *count = 1, cudaSuccess; }
cudaError_t cudaSetDevice(int) { return cudaSuccess; }
cudaError_t cudaDriverGetVersion(int* version) { return *version = 13000, cudaSuccess; }
cudaError_t cudaGetLastError() { return t::device().is_broken ? cudaErrorIllegalAddress : std::exchange(t::last_error, cudaSuccess); }
const char* cudaGetErrorString(cudaError_t e) {
  switch (e) {
    case cudaErrorMemoryAllocation: return "out of memory";
    case cudaErrorNotReady: return "device not ready";
    default: return "an illegal memory access was encountered";
  }
}
const char* cudaGetErrorName(cudaError_t e) {
  switch (e) {
    case cudaErrorMemoryAllocation: return "cudaErrorMemoryAllocation";
    case cudaErrorNotReady: return "cudaErrorNotReady";
    default: return "cudaErrorIllegalAddress";
  }
}
cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) { return *least = 0, *greatest = -5, cudaSuccess; }
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr, int) { return *value = 1000000, cudaSuccess; }
cudaError_t cudaDeviceGetPCIBusId(char* id, int length, int) { return std::strncpy(id, "0000:00:00.0", static_cast<std::size_t>(length)), cudaSuccess; }

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  std::memset(properties, 0, sizeof *properties);
  std::strcpy(properties->name, "host device");
  properties->multiProcessorCount = 1;
  properties->l2CacheSize = 4096;
  return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t* free, size_t* all) { return *free = t::device().free, *all = std::size_t{1} << 36, cudaSuccess; }
cudaError_t cudaMalloc(void** place, size_t size) { return t::allocate(place, size); }
cudaError_t cudaFree(void* place) { return t::release(place); }
cudaError_t cudaMallocHost(void** place, size_t size) { return t::allocate(place, size); }
cudaError_t cudaFreeHost(void* place) { return t::release(place); }
/// From the host's memory: taken at once, but there only when its stream has come to it, as CUDA does with memory that is not pinned.
cudaError_t cudaMemcpy(void* to, const void* from, size_t size, cudaMemcpyKind) {
  return t::locked([&] {
    const auto* const bytes = static_cast<const char*>(from);
    t::device().standard.tasks.push_back({[to, staged = std::vector<char>(bytes, bytes + size)] {
      if (!staged.empty()) std::memcpy(to, staged.data(), staged.size());
    }, {}});
  });
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t size, cudaMemcpyKind, cudaStream_t stream) {
  return t::locked([&] { stream->tasks.push_back({[=] { std::memcpy(to, from, size); }, {}}); });
}
cudaError_t cudaMemsetAsync(void* to, int value, size_t size, cudaStream_t stream) {
  return t::locked([&] { stream->tasks.push_back({[=] { std::memset(to, value, size); }, {}}); });
}

cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned, int) {
  return t::locked([&] { t::device().streams.push_back(*stream = new CUstream_st); });
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const std::lock_guard lock(t::device().mutex);
  while (!stream->tasks.empty() && t::run_one()) {}
  std::erase(t::device().streams, stream);
  delete stream;
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  return t::wait_until([&] { return (stream ? stream : &t::device().standard)->tasks.empty(); });
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  return t::locked([&] { stream->tasks.push_back({{}, [mark = event->last] { return mark->is_reached; }}); });
}

cudaError_t cudaEventCreate(cudaEvent_t* event) {
  return t::locked([&] {
    *event = new CUevent_st;
    ++t::device().events;
  });
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  const std::lock_guard lock(t::device().mutex);
  delete event;
  --t::device().events;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  return t::locked([&] {
    event->last = std::make_shared<Mark>(Mark{false, {}});
    stream->tasks.push_back({[mark = event->last] { *mark = {true, Clock::now()}; }, {}});
  });
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  const std::lock_guard lock(t::device().mutex);
  if (t::device().is_broken) return t::broken();
  if (!event->last->is_reached) (void)t::run_one();
  return t::told(event->last->is_reached ? cudaSuccess : cudaErrorNotReady);
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  return t::wait_until([&] { return event->last->is_reached; });
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end) {
  return t::locked([&] { *milliseconds = std::chrono::duration<float, std::milli>(end->last->at - begin->last->at).count(); });
}

}  // extern "C"
