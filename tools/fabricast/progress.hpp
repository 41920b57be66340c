// How far a long job is, on a terminal. Knows no job.
#pragma once

#include <chrono>
#include <cstddef>
#include <mutex>
#include <string>

namespace fabricast::tools {

/// One line on standard error, rewritten a few times a second and gone in the end; nothing where standard error is no terminal.
class Progress {
 public:
  Progress(std::string noun, bool quiet);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void show(std::size_t done, std::size_t all);   // from any thread

 private:
  using Clock = std::chrono::steady_clock;

  std::string noun_;
  bool shown_;
  std::mutex mutex_;
  Clock::time_point begin_ = Clock::now(), last_{};
};

}  // namespace fabricast::tools
