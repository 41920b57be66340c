// Where results go: standard output, and files that appear whole or not at all. Knows no content.
#pragma once

#include <fstream>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>

namespace fabricast::tools {

/// A file or standard output that cannot be written: the user's to put right.
class OutputError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Whoever read standard output has had enough (`fabricast … | head`): no error, but nothing more to do.
class ReaderGone : public std::runtime_error {
 public:
  ReaderGone() : std::runtime_error("the reader of standard output has gone") {}
};

/// To standard output. Throws OutputError, or ReaderGone where SIGPIPE is ignored.
void print(std::string_view text);

/// To standard error, as one line; nothing where there is nothing to say.
void note(const std::string& text);

/// Opened before the work starts, so that a bad path fails early; visible only once committed. Files are written under another name in the
/// same directory and renamed; "-" is standard output. Devices and pipes are written directly.
class Output {
 public:
  explicit Output(std::string path);
  ~Output();
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  [[nodiscard]] std::ostream& stream();
  void commit();

  [[nodiscard]] static bool is_standard_output(std::string_view path) { return path == "-"; }

 private:
  [[noreturn]] void fail() const;

  std::string path_, written_to_;     // written_to_ is path_ for devices, empty for standard output
  std::ofstream file_;
  std::ostringstream standard_output_;
  bool committed_ = false;
};

/// Can and should standard output show colour? NO_COLOR (https://no-color.org) and TERM=dumb say no.
[[nodiscard]] bool colour_on_standard_output();

}  // namespace fabricast::tools
