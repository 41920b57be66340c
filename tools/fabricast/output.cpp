#include "tools/fabricast/output.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <system_error>
#include <utility>

namespace fabricast::tools {

namespace fs = std::filesystem;

namespace {

constexpr int longest_link_chain = 40;   // as the kernel allows

/// The file itself where `path` is a symbolic link to one, existing or not: the link stays.
fs::path target_of(fs::path path) {
  std::error_code error;
  for (int i = 0; i < longest_link_chain && fs::is_symlink(path, error); ++i) {
    const fs::path next = fs::read_symlink(path, error);
    if (error) break;
    path = path.parent_path() / next;
  }
  return path;
}

bool is_device(const fs::path& path) {
  std::error_code ignored;
  const fs::file_status status = fs::status(path, ignored);
  return fs::exists(status) && !fs::is_regular_file(status) && !fs::is_directory(status);
}

}  // namespace

void print(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(STDOUT_FILENO, text.data(), text.size());
    if (written >= 0) {
      text.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno == EPIPE) {
      throw ReaderGone();
    } else if (errno != EINTR) {
      throw OutputError(std::string("cannot write to standard output: ") + std::strerror(errno));
    }
  }
}

void note(const std::string& text) {
  if (!text.empty()) std::cerr << "fabricast: " << text << '\n';
}

Output::Output(std::string path) : path_(std::move(path)) {
  if (is_standard_output(path_)) return;
  const fs::path target = target_of(path_);
  errno = 0;
  if (path_.empty() || fs::is_directory(target)) {
    errno = path_.empty() ? ENOENT : EISDIR;
    fail();
  }
  written_to_ = is_device(target) ? target.string() : target.string() + ".partial." + std::to_string(::getpid());
  file_.open(written_to_, std::ios::binary | std::ios::trunc);
  if (!file_) {
    written_to_.clear();
    fail();
  }
}

Output::~Output() {
  if (committed_ || written_to_.empty() || is_device(written_to_)) return;
  file_.close();
  std::error_code ignored;
  fs::remove(written_to_, ignored);
}

std::ostream& Output::stream() {
  if (is_standard_output(path_)) return standard_output_;
  return file_;
}

void Output::commit() {
  if (is_standard_output(path_)) {
    print(standard_output_.str());
    committed_ = true;
    return;
  }
  errno = 0;
  file_.close();
  if (!file_) fail();
  if (is_device(written_to_)) return;
  std::error_code error;
  fs::rename(written_to_, target_of(path_), error);
  if (error) throw OutputError("cannot write " + path_ + ": " + error.message());
  committed_ = true;
}

void Output::fail() const {
  throw OutputError("cannot write '" + path_ + "': " + (errno != 0 ? std::strerror(errno) : "the write failed"));
}

bool colour_on_standard_output() {
  const char* no_colour = std::getenv("NO_COLOR");
  if (no_colour && *no_colour != '\0') return false;
  const char* terminal = std::getenv("TERM");
  return ::isatty(STDOUT_FILENO) == 1 && terminal && std::string_view(terminal) != "dumb";
}

}  // namespace fabricast::tools
