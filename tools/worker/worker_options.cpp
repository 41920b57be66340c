#include "tools/worker/worker_options.hpp"

#include <boost/program_options.hpp>

#include <fstream>
#include <sstream>

namespace fabricast::tools {

namespace po = boost::program_options;

namespace {

template <class Value>
std::optional<Value> given(const po::variables_map& values, const char* name) {
  if (values.count(name) == 0) return std::nullopt;
  return values[name].as<Value>();
}

po::options_description described(WorkerOptions& options) {
  po::options_description work("What to run");
  work.add_options()("experiment", po::value(&options.experiment), "experiment file (the first argument)")(
      "set", po::value(&options.sets)->composing(), "PATH.TO.KEY=VALUE: change a key of the experiment; repeatable")(
      "backend", po::value(&options.backend), "host, mpi or cuda; default: mpi if there are several processes, else host")(
      "steps", po::value(&options.steps)->default_value(options.steps), "timed steps")(
      "warm-up", po::value(&options.warm_up)->default_value(options.warm_up), "steps before them, untimed")(
      "seed", po::value(&options.seed)->default_value(options.seed), "of weights and tokens")(
      "device", po::value<std::int32_t>(), "cuda: which GPU, as CUDA counts them; default: the local rank")(
      "communication-ctas", po::value(&options.communication_ctas)->default_value(options.communication_ctas),
      "cuda: at most so many thread blocks for a communicator; 0: as NCCL likes")(
      "compute-sms", po::value(&options.compute_sms)->default_value(options.compute_sms),
      "cuda: SMs that matrix products plan for, beside communication; 0: all")(
      "attention", po::value(&options.attention), "cuda: whose attention runs, own or cudnn; default: cuDNN's where it is there and takes the shape")(
      "stall-timeout", po::value(&options.stall_seconds)->default_value(options.stall_seconds), "seconds in which no op of any rank ends")(
      "no-check", po::bool_switch(&options.no_check), "do not hold the numbers against the reference")(
      "microbench", po::bool_switch(&options.microbench),
      "cuda: instead of the schedule, time every collective by size and group, an experiment's or the usual ones, for fabricast calibrate")(
      "repetitions", po::value(&options.repetitions)->default_value(options.repetitions), "with --microbench: samples of each");
  po::options_description output("What to leave (rank 0 writes)");
  output.add_options()("json", po::value<std::string>(), "report")("trace", po::value<std::string>(), "Chrome trace of the median step")(
      "measured", po::value<std::string>(), "measured trace by op id, all ranks")(
      "rank-traces", po::value<std::string>(), "each rank its own measured trace: PREFIX.rankN.jsonl (fabricast merge joins them)")(
      "quiet,q", po::bool_switch(&options.quiet), "print no summary");
  po::options_description launch("Who this process is (else as torchrun, Open MPI, PMI or Slurm say in the environment)");
  launch.add_options()("rank", po::value<std::int32_t>(), "of this process")("world-size", po::value<std::int32_t>(), "processes of the job")(
      "local-rank", po::value<std::int32_t>(), "among the processes of this machine")("master-addr", po::value<std::string>(), "machine of rank 0")(
      "master-port", po::value<std::int32_t>(), "where rank 0 listens")("print-launch", po::bool_switch(&options.print_launch),
                                                                         "say who this process is, and end");
  po::options_description general("General");
  general.add_options()("config", po::value<std::string>(), "file of options, a line each: steps = 50")("help,h", "this text")("version", "the version");
  po::options_description all;
  all.add(work).add(output).add(launch).add(general);
  return all;
}

std::map<std::string, std::string> launch_environment() {
  po::options_description none;
  std::map<std::string, std::string> found;
  // Boost hands each variable's name to the mapper; those that say who this process is become options of the same name.
  po::options_description variables;
  for (const char* name : {"RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_USE_AGENT_STORE", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE",
                           "OMPI_COMM_WORLD_LOCAL_RANK", "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "SLURM_PROCID", "SLURM_NTASKS",
                           "SLURM_LOCALID"}) {
    variables.add_options()(name, po::value<std::string>());
  }
  const auto parsed = po::parse_environment(variables, [](const std::string& name) { return is_launch_variable(name) ? name : std::string(); });
  for (const auto& option : parsed.options) found[option.string_key] = option.value.empty() ? "" : option.value.front();
  return found;
}

void read(int argc, char** argv, const po::options_description& all, po::variables_map& values) {
  po::positional_options_description first;
  first.add("experiment", 1);
  po::store(po::command_line_parser(argc, argv).options(all).positional(first).run(), values);
  if (values.count("config") == 0) return;
  const auto path = values["config"].as<std::string>();
  std::ifstream file(path);
  if (!file) throw LaunchError("cannot read the options in " + path);
  po::store(po::parse_config_file(file, all), values);   // what the command line said stays
}

}  // namespace

ParsedWorker parse_worker_options(int argc, char** argv) {
  ParsedWorker parsed;
  WorkerOptions& options = parsed.options;
  const po::options_description all = described(options);
  po::variables_map values;
  try {
    read(argc, argv, all, values);
    po::notify(values);
  } catch (const po::error& error) {
    throw LaunchError(std::string(error.what()) + " (see fabricast-worker --help)");
  }
  if (values.count("help") > 0) {
    std::ostringstream text;
    text << "Runs one rank of an experiment's schedule for real, among the other processes of its job.\n"
         << "Usage: fabricast-worker EXPERIMENT [OPTIONS]\n"
         << all << "\nExample: mpirun -n 8 fabricast-worker experiment.json --json report.json\n"
         << "and NCCL's collectives among the GPUs of two nodes:\n"
         << "  mpirun -n 16 --host n0:8,n1:8 fabricast-worker --microbench --backend cuda --json collectives.json\n";
    parsed.text = text.str();
  } else if (values.count("version") > 0) {
    parsed.text = "fabricast-worker " FABRICAST_VERSION "\n";
  }
  options.json = given<std::string>(values, "json");
  options.trace = given<std::string>(values, "trace");
  options.measured = given<std::string>(values, "measured");
  options.device = given<std::int32_t>(values, "device");
  options.rank_traces = given<std::string>(values, "rank-traces");
  options.launch = {given<std::int32_t>(values, "rank"), given<std::int32_t>(values, "world-size"), given<std::int32_t>(values, "local-rank"),
                    given<std::string>(values, "master-addr"), given<std::int32_t>(values, "master-port")};
  options.environment = launch_environment();
  return parsed;
}

}  // namespace fabricast::tools
