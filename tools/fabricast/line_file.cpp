#include "tools/fabricast/line_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <numeric>
#include <system_error>

#include "tools/fabricast/output.hpp"

namespace fabricast::tools {

LineFile::LineFile(std::string path, const std::function<void(std::string_view, std::size_t)>& read) : path_(std::move(path)) {
  file_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0666);
  if (file_ < 0) fail(std::strerror(errno));
  try {
    struct stat status{};
    if (::fstat(file_, &status) != 0 || !S_ISREG(status.st_mode)) fail("no regular file; lines are added to it, and read again by the next run");
    if (::flock(file_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) fail("another run is adding to it; give each a file of its own");
    read_lines(read);
  } catch (...) {
    ::close(file_);
    throw;
  }
}

LineFile::~LineFile() { ::close(file_); }

void LineFile::fail(const std::string& what) const { throw OutputError("cannot write '" + path_ + "': " + what); }

void LineFile::read_lines(const std::function<void(std::string_view, std::size_t)>& read) {
  std::string line;
  std::size_t number = 0;
  std::array<char, 1 << 16> block{};
  for (std::int64_t place = 0;;) {
    const ssize_t got = ::pread(file_, block.data(), block.size(), place);
    if (got < 0) fail(std::strerror(errno));
    if (got == 0) break;
    place += got;
    for (std::string_view rest(block.data(), static_cast<std::size_t>(got)); !rest.empty();) {
      const std::size_t newline = rest.find('\n');
      line += rest.substr(0, newline);
      if (newline == std::string_view::npos) break;
      rest.remove_prefix(newline + 1);
      read(line, ++number);
      const auto bytes = static_cast<std::int64_t>(line.size()) + 1;
      lines_.push_back({end_, bytes});
      end_ += bytes;
      line.clear();
    }
  }
  if (!line.empty() && ::ftruncate(file_, end_) != 0) fail(std::strerror(errno));
}

void LineFile::write_all(int file, std::string_view text) const {
  while (!text.empty()) {
    const ssize_t written = ::write(file, text.data(), text.size());
    if (written >= 0) {
      text.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno != EINTR) {
      fail(std::strerror(errno));
    }
  }
}

LineFile::LineId LineFile::append(std::string_view line) {
  const std::lock_guard lock(mutex_);
  write_all(file_, line);
  lines_.push_back({end_, static_cast<std::int64_t>(line.size())});
  end_ += static_cast<std::int64_t>(line.size());
  return lines_.size() - 1;
}

std::string LineFile::text_of(LineId line) const {
  std::string text(static_cast<std::size_t>(lines_[line].bytes), '\0');
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t got = ::pread(file_, text.data() + done, text.size() - done, lines_[line].offset + static_cast<std::int64_t>(done));
    if (got <= 0) fail(got < 0 ? std::strerror(errno) : "it became shorter while it was written");
    done += static_cast<std::size_t>(got);
  }
  return text;
}

void LineFile::put_in_order(const std::vector<LineId>& order) {
  std::vector<bool> ordered(lines_.size());
  for (const LineId line : order) ordered[line] = true;
  std::vector<LineId> all;
  for (LineId line = 0; line < lines_.size(); ++line) {
    if (!ordered[line]) all.push_back(line);
  }
  all.insert(all.end(), order.begin(), order.end());
  if (std::is_sorted(all.begin(), all.end())) return;

  const std::string beside = path_ + ".partial." + std::to_string(::getpid());
  const int file = ::open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (file < 0) fail(std::strerror(errno));
  try {
    for (const LineId line : all) write_all(file, text_of(line));
    if (::fsync(file) != 0) fail(std::strerror(errno));
  } catch (...) {
    ::close(file);
    (void)std::remove(beside.c_str());
    throw;
  }
  ::close(file);
  std::error_code error;
  std::filesystem::rename(beside, std::filesystem::canonical(path_), error);
  if (error) fail(error.message());
}

}  // namespace fabricast::tools
