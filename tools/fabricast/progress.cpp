#include "tools/fabricast/progress.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <iostream>
#include <utility>

namespace fabricast::tools {

namespace {

constexpr std::chrono::milliseconds between_updates{200};
constexpr const char* clear_line = "\r\x1b[K";

}  // namespace

Progress::Progress(std::string noun, bool quiet) : noun_(std::move(noun)), shown_(!quiet && ::isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
  if (shown_) std::cerr << clear_line << std::flush;
}

void Progress::show(std::size_t done, std::size_t all) {
  const std::lock_guard lock(mutex_);
  if (!shown_ || done == 0 || Clock::now() - last_ < between_updates) return;
  last_ = Clock::now();
  const std::chrono::duration<double> elapsed = last_ - begin_;
  const double left = elapsed.count() / static_cast<double>(done) * static_cast<double>(all - done);
  std::cerr << clear_line << fmt::format("{} of {} {}, about {:.0f} s left", done, all, noun_, left) << std::flush;
}

}  // namespace fabricast::tools
