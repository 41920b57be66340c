#include "validation/parallel.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace fabricast::validation {

namespace {

class Turns {
 public:
  Turns(std::size_t count, const std::function<void(std::size_t)>& work) : count_(count), work_(work) {}

  void take_until_none_is_left() {
    while (!failed_) {
      const std::size_t turn = next_++;
      if (turn >= count_) return;
      try {
        work_(turn);
      } catch (...) {
        keep(turn);
      }
    }
  }

  void rethrow() const {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  void keep(std::size_t turn) {
    const std::lock_guard lock(mutex_);
    failed_ = true;
    if (error_ && failed_turn_ < turn) return;
    error_ = std::current_exception();
    failed_turn_ = turn;
  }

  std::size_t count_;
  const std::function<void(std::size_t)>& work_;
  std::atomic<std::size_t> next_ = 0;
  std::atomic<bool> failed_ = false;
  std::mutex mutex_;
  std::exception_ptr error_;
  std::size_t failed_turn_ = 0;
};

}  // namespace

void for_each_index(std::size_t count, std::size_t threads, const std::function<void(std::size_t)>& work) {
  Turns turns(count, work);
  {
    std::vector<std::jthread> others;
    for (std::size_t t = 1; t < std::min(threads, count); ++t) others.emplace_back([&turns] { turns.take_until_none_is_left(); });
    turns.take_until_none_is_left();
  }
  turns.rethrow();
}

}  // namespace fabricast::validation
