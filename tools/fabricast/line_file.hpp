// A file to which a long job adds finished lines, so that a job that was killed can go on from them. Knows no content.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace fabricast::tools {

/// Opens or creates a regular file and keeps other processes of this program from adding to it. Each line is in the file, whole, when append()
/// has returned. A last line that a kill cut off is dropped. Throws OutputError.
class LineFile {
 public:
  using LineId = std::size_t;   // in the order in which lines stand in the file

  /// `read(line, number)` is called for each line there is, numbers from 1 on. Line n has LineId n-1.
  LineFile(std::string path, const std::function<void(std::string_view, std::size_t)>& read);
  ~LineFile();
  LineFile(const LineFile&) = delete;
  LineFile& operator=(const LineFile&) = delete;

  /// The line ends in a newline. From any thread.
  LineId append(std::string_view line);

  /// Puts the lines in this order, after all others; a file that is replaced whole. Nothing to do where they are in order.
  void put_in_order(const std::vector<LineId>& order);

 private:
  struct Span {
    std::int64_t offset = 0, bytes = 0;
  };
  [[noreturn]] void fail(const std::string& what) const;
  void read_lines(const std::function<void(std::string_view, std::size_t)>& read);
  void write_all(int file, std::string_view text) const;
  [[nodiscard]] std::string text_of(LineId line) const;

  std::string path_;
  int file_ = -1;
  std::mutex mutex_;
  std::int64_t end_ = 0;
  std::vector<Span> lines_;
};

}  // namespace fabricast::tools
