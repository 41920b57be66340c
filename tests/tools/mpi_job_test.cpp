// fabricast execute --backend mpi as its user sees it. Where there is no MPI these say so and check that the command does, too.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>

namespace fabricast::mpi_job_test {

namespace fs = std::filesystem;

namespace {

const std::string eight_ranks = "configs/experiments/ep4_tp2_tiny.json";

std::string text_of(const fs::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string output_of(const std::string& command) {
  const fs::path file = fs::temp_directory_path() / ("fabricast_mpi_" + std::to_string(::getpid()) + ".out");
  [[maybe_unused]] const int status = std::system((command + " >'" + file.string() + "' 2>/dev/null").c_str());
  const std::string text = text_of(file);
  fs::remove(file);
  return text;
}

bool has_mpi() {
  const bool there = !output_of("command -v mpirun").empty() && fs::exists(fs::path(FABRICAST_BINARY).parent_path() / "fabricast-worker");
  if (!there) MESSAGE("skipped: no mpirun or no fabricast-worker on this machine");
  return there;
}

fs::path job_folder() {
  const fs::path path = fs::temp_directory_path() / ("fabricast_mpi_job_" + std::to_string(::getpid()));
  fs::remove_all(path);
  fs::create_directories(path);
  return path;
}

/// Starts the command in the background, in the source directory, with its output in `out` and `err` of the folder.
pid_t start(const fs::path& in, const std::string& arguments) {
  const pid_t child = ::fork();
  if (child != 0) return child;
  const std::string command = "cd '" FABRICAST_SOURCE_DIR "' && exec timeout -k 5 60 '" FABRICAST_BINARY "' " + arguments + " >'" +
                              (in / "out").string() + "' 2>'" + (in / "err").string() + "'";
  ::execl("/bin/sh", "sh", "-c", command.c_str(), static_cast<char*>(nullptr));
  ::_exit(127);
}

int wait_for(pid_t child) {
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/// Children of a process, one a line, in order of start.
std::string children(const std::string& parent) { return output_of("pgrep -P " + parent); }

/// While MPI starts a process has three threads; then come one that drives MPI and two that run ops.
bool runs_steps(const std::string& workers) {
  constexpr std::ptrdiff_t threads_of_a_run = 6;
  std::istringstream all(workers);
  for (std::string worker; all >> worker;) {
    std::error_code gone;
    const fs::directory_iterator tasks("/proc/" + worker + "/task", gone);
    if (gone || std::distance(fs::begin(tasks), fs::end(tasks)) < threads_of_a_run) return false;
  }
  return true;
}

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

}  // namespace

TEST_CASE("eight processes compute what the reference computes and leave report and traces") {
  if (!has_mpi()) return;
  const fs::path in = job_folder();
  CHECK(wait_for(start(in, "execute " + eight_ranks + " --backend mpi --steps 2 --warm-up 0 --json " + (in / "r.json").string() +
                               " --measured " + (in / "m.jsonl").string())) == 0);
  CHECK(text_of(in / "out").find("equal to the reference") != std::string::npos);
  CHECK(text_of(in / "r.json").find("\"backend\": \"mpi\"") != std::string::npos);
  CHECK(first_line(text_of(in / "m.jsonl")).find("\"ranks\": 8") != std::string::npos);
  fs::remove_all(in);
}

TEST_CASE("kill -9 of one rank ends the job within 10 seconds: one line with rank and place, no file, nobody left") {
  if (!has_mpi()) return;
  const fs::path in = job_folder();
  const pid_t job = start(in, "execute " + eight_ranks + " --backend mpi --steps 5000 --no-check --json " + (in / "r.json").string());
  std::string mpirun, workers;
  for (int i = 0; i < 200 && std::count(workers.begin(), workers.end(), '\n') < 8; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    const std::string command = first_line(children(std::to_string(job)));   // of timeout
    if (!command.empty()) mpirun = first_line(children(command));
    if (!mpirun.empty()) workers = children(mpirun);
  }
  REQUIRE(std::count(workers.begin(), workers.end(), '\n') == 8);
  for (int i = 0; i < 200 && !runs_steps(workers); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(100));
  std::this_thread::sleep_for(std::chrono::seconds(1));
  const auto killed = std::chrono::steady_clock::now();
  (void)output_of("kill -9 " + first_line(workers));
  CHECK(wait_for(job) == 1);
  CHECK(std::chrono::steady_clock::now() - killed < std::chrono::seconds(10));
  const std::string error = text_of(in / "err");
  CAPTURE(error);
  CHECK(std::count(error.begin(), error.end(), '\n') == 1);
  CHECK(error.find("fabricast: rank ") == 0);
  CHECK(error.find("signal 9") != std::string::npos);
  const bool names_place = error.find(", op ") != std::string::npos || error.find("between two steps, waits for") != std::string::npos;
  CHECK(names_place);
  CHECK(std::distance(fs::directory_iterator(in), fs::directory_iterator()) == 2);   // out and err
  CHECK(output_of("for p in " + [&] { std::string all = workers; for (char& c : all) c = c == '\n' ? ' ' : c; return all; }() +
                  "; do readlink /proc/$p/exe; done").empty());
  fs::remove_all(in);
}

TEST_CASE("without mpirun the command says what to install") {
  if (!has_mpi()) return;
  const fs::path in = job_folder();
  const int code = std::system(("cd '" FABRICAST_SOURCE_DIR "' && PATH=/nowhere '" FABRICAST_BINARY "' execute " + eight_ranks +
                                " --backend mpi 2>'" + (in / "err").string() + "'")
                                   .c_str());
  CHECK(WEXITSTATUS(code) == 2);
  CHECK(text_of(in / "err").find("there is no mpirun: install openmpi-bin") != std::string::npos);
  fs::remove_all(in);
}

TEST_CASE("the worker refuses a partial set of a launcher's variables, naming what is missing") {
  const fs::path worker = fs::path(FABRICAST_BINARY).parent_path() / "fabricast-worker";
  if (!fs::exists(worker)) return;
  const auto said = [&](const std::string& environment) { return output_of("( env " + environment + " '" + worker.string() + "' --print-launch 2>&1 )"); };
  CHECK(said("RANK=1 WORLD_SIZE=4 LOCAL_RANK=1 MASTER_ADDR=n0 MASTER_PORT=5") == "rank 1 of 4, local rank 1, as torchrun says; rank 0 at n0:5\n");
  CHECK(said("RANK=1 WORLD_SIZE=4") == "fabricast-worker: torchrun started this process, it seems, but the variable LOCAL_RANK is missing\n");
  CHECK(output_of("env RANK=1 '" + worker.string() + "' --print-launch --rank 0 --world-size 2") == "rank 0 of 2, local rank 0, as flags says\n");
}

TEST_CASE("the worker's micro-benchmarks are of GPUs, and refuse what they have no use for, in one line") {
  const fs::path worker = fs::path(FABRICAST_BINARY).parent_path() / "fabricast-worker";
  if (!fs::exists(worker)) return;
  const auto said = [&](const std::string& options) { return output_of("( '" + worker.string() + "' --microbench " + options + " 2>&1 )"); };
  const std::string own = "fabricast-worker: rank 0: ";
  CHECK(said("") == "fabricast-worker: --microbench of a worker times GPUs: --backend cuda (fabricast execute --microbench times a host)\n");
  CHECK(said("--backend cuda --repetitions 0") == own + "--repetitions is 1 to 10000\n");
  CHECK(said("--backend cuda --trace t.json") == own + "--microbench runs no step: traces have nothing to hold\n");
  CHECK(said("--backend cuda --set model.layers=1") == own + "--set changes an experiment, and --microbench was given none\n");
}

}  // namespace fabricast::mpi_job_test
