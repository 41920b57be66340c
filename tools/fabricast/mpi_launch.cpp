#include "tools/fabricast/mpi_launch.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>

#include "runtime/executor.hpp"
#include "runtime/machine.hpp"
#include "tools/fabricast/options.hpp"

namespace fabricast::tools {

namespace fs = std::filesystem;

namespace {

constexpr std::chrono::seconds patience_after_failure{5};
constexpr const char* seconds_to_speak = "3";   // of a worker between SIGTERM and SIGKILL: Open MPI leaves it 1, too short on a busy machine
constexpr const char* worker_name = "fabricast-worker";
constexpr int exec_failed = 127;

/// "rank 3 exited on signal 9 (Killed)" from mpirun's notice; the rank, too.
struct Death {
  std::string rank, how;
};
std::optional<Death> death_in(const std::string& line) {
  const std::string notice = "noticed that process rank ", end = " exited on ";
  const std::size_t at = line.find(notice), how = line.find(end);
  if (at == std::string::npos || how == std::string::npos) return std::nullopt;
  const std::size_t rank = at + notice.size();
  std::string text = line.substr(how + 1);
  if (!text.empty() && text.back() == '.') text.pop_back();
  return Death{line.substr(rank, line.find(' ', rank) - rank), text};
}

std::optional<std::string> worker_line(const std::string& line) {
  const std::string prefix = std::string(worker_name) + ": ";
  if (line.rfind(prefix, 0) != 0) return std::nullopt;
  return line.substr(prefix.size());
}

/// Reads lines from a descriptor as they come.
class LineReader {
 public:
  explicit LineReader(int descriptor) : descriptor_(descriptor) {}

  /// False at the end.
  bool read(std::vector<std::string>& lines) {
    std::array<char, 4096> bytes{};
    const ssize_t got = ::read(descriptor_, bytes.data(), bytes.size());
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) return true;
    if (got <= 0) return false;
    text_.append(bytes.data(), static_cast<std::size_t>(got));
    for (std::size_t end = text_.find('\n'); end != std::string::npos; end = text_.find('\n')) {
      lines.push_back(text_.substr(0, end));
      text_.erase(0, end + 1);
    }
    return true;
  }

 private:
  int descriptor_;
  std::string text_;
};

struct Ended {
  int code;                          // 128 + signal where one ended it
  std::vector<std::string> lines;    // of standard error
};

int code_of(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status); }

[[noreturn]] void become(const std::vector<std::string>& line, int error_pipe) {
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);   // mpirun ends when this program does
  ::dup2(error_pipe, STDERR_FILENO);
  std::vector<char*> words;
  for (const std::string& word : line) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  ::execvp(words[0], words.data());
  ::_exit(exec_failed);
}

Ended run_and_read(const std::vector<std::string>& line) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw runtime::BackendUnavailable(std::string("cannot start mpirun: ") + std::strerror(errno));
  ::setenv("OMPI_MCA_odls_base_sigkill_timeout", seconds_to_speak, 0);
  const pid_t child = ::fork();
  if (child < 0) throw runtime::BackendUnavailable(std::string("cannot start mpirun: ") + std::strerror(errno));
  if (child == 0) become(line, ends[1]);
  ::close(ends[1]);
  Ended ended{0, {}};
  LineReader reader(ends[0]);
  std::optional<std::chrono::steady_clock::time_point> failed_at;
  int status = 0;
  bool reads = true;
  while (::waitpid(child, &status, WNOHANG) == 0) {
    pollfd waits{reads ? ends[0] : -1, POLLIN, 0};
    if (::poll(&waits, 1, 100) > 0) reads = reader.read(ended.lines);
    const bool failed = std::any_of(ended.lines.begin(), ended.lines.end(), [](const std::string& l) { return worker_line(l).has_value(); });
    if (failed && !failed_at) failed_at = std::chrono::steady_clock::now();
    if (failed_at && std::chrono::steady_clock::now() - *failed_at > patience_after_failure) ::kill(child, SIGKILL);
  }
  ::fcntl(ends[0], F_SETFL, O_NONBLOCK);   // a worker that outlives mpirun may still hold the other end
  for (pollfd rest{ends[0], POLLIN, 0}; ::poll(&rest, 1, 0) > 0 && reader.read(ended.lines);) {}
  ::close(ends[0]);
  ended.code = code_of(status);
  return ended;
}

}  // namespace

std::vector<std::string> mpi_launch_line(std::int64_t ranks, const std::vector<std::string>& worker_arguments) {
  std::vector<std::string> line{"mpirun", "-n", std::to_string(ranks)};
  line.insert(line.end(), {"--bind-to", "none"});   // a rank is several threads, and mpirun would give each of two ranks a core
  if (::geteuid() == 0) line.emplace_back("--allow-run-as-root");
  if (ranks > runtime::this_host().devices) line.emplace_back("--oversubscribe");
  line.push_back(worker_program());
  line.insert(line.end(), worker_arguments.begin(), worker_arguments.end());
  return line;
}

std::string shell_line(const std::vector<std::string>& words) {
  std::string line;
  for (const std::string& word : words) {
    const bool plain = !word.empty() && word.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=:,") == std::string::npos;
    std::string quoted = "'";
    for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
    line += (line.empty() ? "" : " ") + (plain ? word : quoted + "'");
  }
  return line;
}

std::string worker_program() {
  std::error_code error;
  const fs::path folder = fs::read_symlink("/proc/self/exe", error).parent_path();
  if (fs::exists(folder / worker_name, error)) return (folder / worker_name).string();
  throw runtime::BackendUnavailable(fmt::format("there is no {} in {}: install libboost-program-options-dev and libopenmpi-dev, and build again",
                                                worker_name, folder.string()));
}

std::string failure_of(const std::vector<std::string>& error_lines, int exit_code) {
  std::vector<std::string> said;
  std::optional<Death> death;
  std::string last;
  for (const std::string& line : error_lines) {
    if (const auto of_worker = worker_line(line)) said.push_back(*of_worker);
    if (!death) death = death_in(line);
    if (line.find_first_not_of("- ") != std::string::npos) last = line;
  }
  if (death) {
    const std::string waits = "waits for rank " + death->rank;
    auto witness = std::find_if(said.begin(), said.end(), [&](const std::string& s) {
      const std::size_t at = s.find(waits);
      return at != std::string::npos && (at + waits.size() == s.size() || s[at + waits.size()] == ';' || s[at + waits.size()] == ',');
    });
    if (witness == said.end()) {
      witness = std::find_if(said.begin(), said.end(), [](const std::string& s) { return s.find(" waits for ") != std::string::npos; });
    }
    std::string message = fmt::format("rank {} {}", death->rank, death->how);
    if (witness == said.end()) return message;
    const std::size_t own = witness->find(": rank ");
    return message + "; " + (own == std::string::npos ? *witness : witness->substr(own + 2));
  }
  if (!said.empty()) return said.front();
  return last.empty() ? fmt::format("mpirun ended with exit code {} and no word", exit_code) : last;
}

ExitCode launch_mpi(const std::vector<std::string>& line) {
  const Ended ended = run_and_read(line);
  if (ended.code == 0) return ExitCode::success;
  if (ended.code == exec_failed && ended.lines.empty()) {
    throw runtime::BackendUnavailable("there is no mpirun: install openmpi-bin, or use --backend host");
  }
  const bool said_nothing = std::all_of(ended.lines.begin(), ended.lines.end(), [](const std::string& l) { return l.empty(); });
  if (said_nothing && ended.code == static_cast<int>(ExitCode::answer_is_no)) return ExitCode::answer_is_no;   // wrong numbers, printed
  const std::string failure = failure_of(ended.lines, ended.code);
  if (ended.code == static_cast<int>(ExitCode::input_at_fault)) throw UsageError(failure);
  throw runtime::ExecutionError(failure);
}

}  // namespace fabricast::tools
