// The end of a process whose library or device does not come back: nothing else can leave such a call. Knows no library.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

namespace fabricast::runtime::cuda {

/// Calls `give_up`, from a thread of its own, unless it is gone in time. `give_up` must outlive it; where it is empty nothing happens.
class Guard {
 public:
  Guard(std::string why, std::chrono::duration<double> patience, const std::function<void(const std::string&)>& give_up) {
    if (!give_up) return;
    thread_ = std::jthread([this, why = std::move(why), patience, &give_up](const std::stop_token& stop) {
      std::unique_lock lock(mutex_);
      (void)wake_.wait_for(lock, stop, patience, [] { return false; });
      if (!stop.stop_requested()) give_up(why);
    });
  }

 private:
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::jthread thread_;
};

}  // namespace fabricast::runtime::cuda
