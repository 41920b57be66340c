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

Progress::Progress(std::size_t total, std::string noun, bool quiet)
    : total_(total), noun_(std::move(noun)), shown_(!quiet && total > 1 && ::isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
  if (shown_) std::cerr << clear_line << std::flush;
}

void Progress::advance() {
  const std::lock_guard lock(mutex_);
  ++done_;
  if (!shown_ || Clock::now() - last_ < between_updates) return;
  last_ = Clock::now();
  show();
}

void Progress::show() {
  const std::chrono::duration<double> elapsed = last_ - begin_;
  const double left = elapsed.count() / static_cast<double>(done_) * static_cast<double>(total_ - done_);
  std::cerr << clear_line << fmt::format("{} of {} {}, about {:.0f} s left", done_, total_, noun_, left) << std::flush;
}

}  // namespace fabricast::tools
