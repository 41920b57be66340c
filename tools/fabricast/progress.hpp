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
  Progress(std::size_t total, std::string noun, bool quiet);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void advance();   // from any thread

 private:
  using Clock = std::chrono::steady_clock;
  void show();

  std::size_t total_, done_ = 0;
  std::string noun_;
  bool shown_;
  std::mutex mutex_;
  Clock::time_point begin_ = Clock::now(), last_{};
};

}  // namespace fabricast::tools
