// Who is this process? As the worker finds out from flags and environment, and what the launcher makes of a job that failed.
#include "tools/worker/launch.hpp"

#include <doctest/doctest.h>

#include "tools/fabricast/mpi_launch.hpp"

namespace fabricast::launch_test {

using namespace fabricast::tools;

namespace {

using Environment = std::map<std::string, std::string>;

const Environment torchrun{{"RANK", "3"}, {"WORLD_SIZE", "8"}, {"LOCAL_RANK", "1"}, {"MASTER_ADDR", "n0"}, {"MASTER_PORT", "29500"}};
const Environment open_mpi{{"OMPI_COMM_WORLD_RANK", "4"}, {"OMPI_COMM_WORLD_SIZE", "9"}, {"OMPI_COMM_WORLD_LOCAL_RANK", "2"}};
const Environment pmi{{"PMI_RANK", "5"}, {"PMI_SIZE", "10"}};
const Environment slurm{{"SLURM_PROCID", "6"}, {"SLURM_NTASKS", "11"}, {"SLURM_LOCALID", "0"}};

Environment all_of(std::initializer_list<Environment> parts) {
  Environment all;
  for (const Environment& part : parts) all.insert(part.begin(), part.end());
  return all;
}

void check_launch(const Launch& launch, std::int32_t rank, std::int32_t size, const std::string& source) {
  CHECK(launch.rank == rank);
  CHECK(launch.size == size);
  CHECK(launch.source == source);
}

}  // namespace

TEST_CASE("flags come before torchrun, Open MPI, PMI, Slurm and a single process") {
  const LaunchFlags flags{1, 2, {}, {}, {}};
  check_launch(resolve_launch(flags, all_of({torchrun, open_mpi, pmi, slurm})), 1, 2, "flags");
  check_launch(resolve_launch({}, all_of({torchrun, open_mpi, pmi, slurm})), 3, 8, "torchrun");
  check_launch(resolve_launch({}, all_of({open_mpi, pmi, slurm})), 4, 9, "Open MPI");
  check_launch(resolve_launch({}, all_of({pmi, slurm})), 5, 10, "PMI");
  check_launch(resolve_launch({}, slurm), 6, 11, "Slurm");
  check_launch(resolve_launch({}, {}), 0, 1, "single process");
  CHECK(resolve_launch({}, torchrun).master_address == "n0");
  CHECK(resolve_launch({}, torchrun).master_port == 29500);
  CHECK(resolve_launch({}, torchrun).local_rank == 1);
  CHECK(resolve_launch({1, 2, {}, "elsewhere", 7}, torchrun).master_address == "elsewhere");
}

TEST_CASE("where torchrun listens on its port, ranks meet at the next one") {
  Environment shared = torchrun;
  shared["TORCHELASTIC_USE_AGENT_STORE"] = "True";
  CHECK(resolve_launch({}, shared).master_port == 29501);
  shared["TORCHELASTIC_USE_AGENT_STORE"] = "False";
  CHECK(resolve_launch({}, shared).master_port == 29500);
  CHECK(resolve_launch({{}, {}, {}, "n1", 7}, shared).master_port == 7);
  CHECK(is_launch_variable("TORCHELASTIC_USE_AGENT_STORE"));
  CHECK(!is_launch_variable(""));
}

TEST_CASE("PMI's local rank is its own variable's, else Slurm's, else the rank") {
  CHECK(resolve_launch({}, pmi).local_rank == 5);
  CHECK(resolve_launch({}, all_of({pmi, slurm})).local_rank == 0);
  CHECK(resolve_launch({}, all_of({pmi, slurm, {{"MPI_LOCALRANKID", "3"}}})).local_rank == 3);
}

TEST_CASE("a set of variables that lacks one is an error that names it") {
  for (const Environment& whole : {torchrun, open_mpi, slurm}) {
    for (const auto& [name, value] : whole) {
      if (name == "SLURM_PROCID" || name == "MASTER_ADDR" || name == "MASTER_PORT") continue;
      Environment partial = whole;
      partial.erase(name);
      CHECK_THROWS_WITH_AS((void)resolve_launch({}, partial), doctest::Contains(name.c_str()), LaunchError);
    }
  }
  Environment no_port = torchrun;
  no_port.erase("MASTER_PORT");
  CHECK_THROWS_WITH_AS((void)resolve_launch({}, no_port), doctest::Contains("MASTER_PORT is missing"), LaunchError);
  CHECK_THROWS_WITH_AS((void)resolve_launch({}, {{"PMI_RANK", "1"}}), doctest::Contains("PMI_SIZE"), LaunchError);
  CHECK_THROWS_WITH_AS((void)resolve_launch({1, {}, {}, {}, {}}, {}), doctest::Contains("--world-size is missing"), LaunchError);
  CHECK_THROWS_WITH_AS((void)resolve_launch({{}, 2, {}, {}, {}}, {}), doctest::Contains("--rank is missing"), LaunchError);
  CHECK_THROWS_WITH_AS((void)resolve_launch({1, 2, {}, "n0", {}}, {}), doctest::Contains("--master-port is missing"), LaunchError);
}

TEST_CASE("a shell of Slurm's that started no process is a single process") {
  check_launch(resolve_launch({}, {{"SLURM_NTASKS", "16"}, {"SLURM_JOB_ID", "1"}}), 0, 1, "single process");
}

TEST_CASE("numbers that make no sense are refused, naming them") {
  CHECK_THROWS_WITH_AS((void)resolve_launch({8, 8, {}, {}, {}}, {}), doctest::Contains("rank 8"), LaunchError);
  Environment wrong = open_mpi;
  wrong["OMPI_COMM_WORLD_RANK"] = "four";
  CHECK_THROWS_WITH_AS((void)resolve_launch({}, wrong), doctest::Contains("OMPI_COMM_WORLD_RANK=four"), LaunchError);
}

TEST_CASE("a failed job comes to one line: who died, and an op that waits for it") {
  const std::vector<std::string> lines{
      "fabricast-worker: rank 6: stopped from outside: rank 6, op 49 (layer 1 / expert_all_gather) waits for rank 35",
      "fabricast-worker: rank 5: stopped from outside: rank 5, op 46 (layer 1 / dispatch) waits for rank 3",
      "----------------",
      "mpirun noticed that process rank 3 with PID 0 on node vm exited on signal 9 (Killed).",
      "----------------"};
  CHECK(failure_of(lines, 137) == "rank 3 exited on signal 9 (Killed); rank 5, op 46 (layer 1 / dispatch) waits for rank 3");
  CHECK(failure_of({"fabricast-worker: rank 5: stopped from outside: rank 5, between two steps, waits for the other processes", lines[3]}, 137) ==
        "rank 3 exited on signal 9 (Killed); rank 5, between two steps, waits for the other processes");
  CHECK(failure_of({"fabricast-worker: rank 2, op 4 (layer 0 / router): bad", "MPI_ABORT was invoked"}, 1) == "rank 2, op 4 (layer 0 / router): bad");
  CHECK(failure_of({"", "There are not enough slots", "-----"}, 1) == "There are not enough slots");
  CHECK(failure_of({}, 9) == "mpirun ended with exit code 9 and no word");
}

TEST_CASE("a launch line is quoted as a shell needs it") {
  CHECK(shell_line({"mpirun", "--set", "a={\"b\": 1}", "it's", ""}) == "mpirun --set 'a={\"b\": 1}' 'it'\\''s' ''");
}

}  // namespace fabricast::launch_test
