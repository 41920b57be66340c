// fabricast-worker: one rank of a job. Parse, find out which rank this is, run, and end the whole job where something went wrong.
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <memory>
#include <new>
#include <optional>

#include "hardware_models/config_error.hpp"
#include "runtime/cuda_plugin.hpp"
#include "runtime/execute.hpp"
#include "runtime/host_executor.hpp"
#include "runtime/tcp_rendezvous.hpp"
#include "tools/fabricast/bench_output.hpp"
#include "tools/fabricast/cuda_environment.hpp"
#include "tools/fabricast/exit_code.hpp"
#include "tools/fabricast/measured_output.hpp"
#include "tools/worker/worker_options.hpp"
#include "validation/bench_json.hpp"
#include "validation/measured_trace.hpp"
#include "validation/summary.hpp"
#ifdef FABRICAST_HAS_MPI
#include "runtime/mpi/mpi_executor.hpp"
#include "runtime/mpi/mpi_rendezvous.hpp"
#endif

namespace fabricast::tools {

namespace {

std::atomic<bool> stop_requested{false};

void request_stop(int) { stop_requested = true; }

/// One write, so that lines of several processes do not mix. No rank: who this process is was not found out.
ExitCode complain(std::optional<std::int32_t> rank, std::string message, ExitCode code) {
  for (char& c : message) c = c == '\n' ? ' ' : c;
  const std::string own = rank ? fmt::format("rank {}", *rank) : "";
  const bool names_rank = !rank || message.rfind(own + ",", 0) == 0 || message.rfind(own + ":", 0) == 0;
  const std::string line = fmt::format("fabricast-worker: {}{}\n", names_rank ? "" : own + ": ", message);
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
  return code;
}

runtime::RunOptions run_options(const WorkerOptions& o) {
  if (o.steps < 1 || o.steps > 100'000) throw LaunchError("--steps is 1 to 100000");
  if (o.warm_up < 0 || o.warm_up > 100'000) throw LaunchError("--warm-up is 0 to 100000");
  if (o.seed < 0) throw LaunchError("--seed is not negative");
  if (!(o.stall_seconds > 0)) throw LaunchError("--stall-timeout is above 0");
  runtime::RunOptions options;
  options.seed = static_cast<std::uint64_t>(o.seed);
  options.warm_up_steps = static_cast<std::int32_t>(o.warm_up);
  options.timed_steps = static_cast<std::int32_t>(o.steps);
  options.stall_timeout = Seconds(o.stall_seconds);
  return options;
}

/// Runs, and writes what this rank is to write.
ExitCode work(const WorkerOptions& options, const Launch& launch, const std::string& backend, runtime::Executor& executor) {
  runtime::RunOptions run = run_options(options);
  const validation::Experiment experiment = validation::load_experiment(options.experiment, options.sets);
  if (!options.no_check) runtime::require_checkable(validation::problem_of(experiment));
  const bool writes = launch.rank == 0;
  const MeasuredFiles files = writes ? MeasuredFiles{options.json, options.trace, options.measured} : MeasuredFiles{};
  const MeasuredFiles own{{}, {}, options.rank_traces ? std::optional(fmt::format("{}.rank{}.jsonl", *options.rank_traces, launch.rank))
                                                      : std::nullopt};
  for (const MeasuredFiles& checked : {files, own}) (void)MeasuredOutput(checked);   // can they be written? Opened anew after the run: a
                                                                                   // process that is killed leaves no half of a file
  validation::Plan plan = validation::plan(experiment);
  run.node_of = validation::nodes_of(plan);
  run.keep_logits = !options.no_check;
  runtime::MeasuredRun ran = executor.run(plan.schedule, run);
  if (own.measured) {
    Output file(*own.measured);
    validation::write_measured_trace(
        validation::measured_trace(experiment.name, backend, plan.schedule, run, ran, {Rank{launch.rank}}), file.stream());
    file.commit();
  }
  if (!writes) return ExitCode::success;
  std::optional<runtime::Numerics> numerics;
  if (!options.no_check) numerics = runtime::check_numerics(plan.schedule, ran, validation::problem_of(experiment), run.seed);
  const validation::Measurement measurement{backend, run, std::move(ran), numerics, false};
  const validation::Report report = MeasuredOutput(files).write(experiment, std::move(plan), measurement);
  if (!options.quiet) print(validation::summary(report, {}));   // mpirun makes a terminal of its own
  return numerics && !numerics->passed ? ExitCode::answer_is_no : ExitCode::success;
}

/// Calls `body` and turns what went wrong into one line and an exit code.
template <class Body>
ExitCode guarded(std::optional<std::int32_t> rank, Body&& body) {
  try {
    return body();
  } catch (const ReaderGone&) {
    return ExitCode::success;
  } catch (const LaunchError& error) {
    return complain(rank, error.what(), ExitCode::input_at_fault);
  } catch (const hw::ConfigError& error) {
    return complain(rank, error.what(), ExitCode::input_at_fault);
  } catch (const OutputError& error) {
    return complain(rank, error.what(), ExitCode::input_at_fault);
  } catch (const runtime::BackendUnavailable& error) {
    return complain(rank, error.what(), ExitCode::input_at_fault);
  } catch (const runtime::ExecutionError& error) {
    return complain(rank, error.what(), ExitCode::answer_is_no);
  } catch (const std::bad_alloc&) {
    return complain(rank, "not enough memory for an experiment of this size", ExitCode::input_at_fault);
  } catch (const std::exception& error) {
    return complain(rank, std::string("internal error, please report it: ") + error.what(), ExitCode::internal_error);
  }
}

/// Those who start processes may show each one its own GPU only; then that is number 0.
std::int32_t device_of(const WorkerOptions& options, const Launch& launch, runtime::CudaBackend& backend) {
  return options.device.value_or(backend.device_count() == 1 ? 0 : launch.local_rank);
}

std::function<void(const std::string&)> end_of_process(const Launch& launch) {
  return [rank = launch.rank](const std::string& why) { std::_Exit(static_cast<int>(complain(rank, why, ExitCode::answer_is_no))); };
}

runtime::AttentionKernels attention_of(const WorkerOptions& options) {
  if (options.attention.empty()) return runtime::AttentionKernels::best;
  if (options.attention == "own") return runtime::AttentionKernels::own;
  if (options.attention == "cudnn") return runtime::AttentionKernels::cudnn;
  throw LaunchError("--attention is 'own' or 'cudnn', not '" + options.attention + "'");
}

/// What all ranks would say, rank 0 says.
std::function<void(const std::string&)> warning_of(const Launch& launch) {
  if (launch.rank != 0) return {};
  return [](const std::string& line) { (void)complain(std::nullopt, line, ExitCode::success); };
}

std::string bench_command(const WorkerOptions& options, const Launch& launch) {
  std::string text = fmt::format("fabricast-worker{} --microbench --backend cuda --repetitions {} --communication-ctas {}",
                                 options.experiment.empty() ? "" : ' ' + options.experiment, options.repetitions, options.communication_ctas);
  if (!options.attention.empty()) text += " --attention " + options.attention;
  for (const std::string& set : options.sets) text += " --set " + set;
  return text + fmt::format(" ({} processes)", launch.size);
}

void require_bench_options(const WorkerOptions& options) {
  if (options.repetitions < 1 || options.repetitions > most_repetitions) throw LaunchError(fmt::format("--repetitions is 1 to {}", most_repetitions));
  if (options.trace || options.measured || options.rank_traces) throw LaunchError("--microbench runs no step: traces have nothing to hold");
  if (options.experiment.empty() && !options.sets.empty()) throw LaunchError("--set changes an experiment, and --microbench was given none");
}

/// Rank 0 writes what all measured.
ExitCode bench(const WorkerOptions& options, const Launch& launch, runtime::CudaBackend& backend, runtime::CudaBenchOptions cuda) {
  const std::optional<std::string> experiment = options.experiment.empty() ? std::nullopt : std::optional(options.experiment);
  const runtime::BenchPlan plan = cuda_bench_plan(experiment, options.sets, launch.size);
  const bool writes = launch.rank == 0;
  if (writes && options.json) (void)Output(*options.json);   // can it be written?
  cuda.repetitions = static_cast<std::int32_t>(options.repetitions);
  cuda.traffic = usual_traffic();
  const runtime::BenchResults results = backend.microbench(plan, cuda);
  if (!writes) return ExitCode::success;
  std::optional<Output> json;
  if (options.json) json.emplace(*options.json);
  write_bench(results, bench_command(options, launch), json ? &*json : nullptr);
  if (!options.quiet) print(validation::bench_summary(results));
  return ExitCode::success;
}

/// This rank on its GPU. Ranks meet at `rendezvous`, null for a job of one.
ExitCode work_on_cuda(const WorkerOptions& options, const Launch& launch, runtime::Rendezvous* rendezvous) {
  if (options.communication_ctas < 0) throw LaunchError("--communication-ctas is not negative");
  if (options.compute_sms < 0) throw LaunchError("--compute-sms is not negative");
  if (options.microbench) require_bench_options(options);
  const runtime::AttentionKernels attention = attention_of(options);
  const auto backend = runtime::open_cuda();
  const std::int32_t device = device_of(options, launch, *backend);
  if (options.microbench) {
    runtime::CudaBenchOptions cuda;
    cuda.device = device;
    cuda.rendezvous = rendezvous;
    cuda.communication_ctas = options.communication_ctas;
    cuda.compute_sms = options.compute_sms;
    cuda.attention = attention;
    cuda.warn = warning_of(launch);
    cuda.give_up = end_of_process(launch);
    return bench(options, launch, *backend, cuda);
  }
  runtime::CudaOptions cuda;
  cuda.mode = runtime::CudaMode::distributed;
  cuda.rank = Rank{launch.rank};
  cuda.device = device;
  cuda.rendezvous = rendezvous;
  cuda.communication_ctas = options.communication_ctas;
  cuda.compute_sms = options.compute_sms;
  cuda.attention = attention;
  cuda.warn = warning_of(launch);
  cuda.give_up = end_of_process(launch);
  const auto executor = backend->executor(cuda);
  return work(options, launch, "cuda", *executor);
}

#ifdef FABRICAST_HAS_MPI
/// Calls `body` with the job's processes; when something went wrong in one, all end.
template <class Body>
ExitCode within_mpi(const Launch& launch, Body&& body) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);   // an mpirun that is killed takes its processes along
  std::unique_ptr<runtime::MpiWorld> world;
  const ExitCode joined = guarded(launch.rank, [&] {
    world = std::make_unique<runtime::MpiWorld>();
    return ExitCode::success;
  });
  if (joined != ExitCode::success) return joined;
  const ExitCode code = guarded(world->rank(), [&] {
    if (launch.rank != world->rank() || launch.size != world->size()) {
      throw LaunchError(fmt::format("{} says rank {} of {}, MPI says rank {} of {}: start with mpirun or srun --mpi=pmix only", launch.source,
                                    launch.rank, launch.size, world->rank(), world->size()));
    }
    return body(*world);
  });
  if (code != ExitCode::success) runtime::MpiWorld::abort(static_cast<int>(code));
  return code;
}

ExitCode run_mpi(const WorkerOptions& options, const Launch& launch) {
  struct sigaction action{};
  action.sa_handler = request_stop;
  ::sigaction(SIGTERM, &action, nullptr);
  return within_mpi(launch, [&](const runtime::MpiWorld& world) {
    runtime::MpiExecutor executor(world, &stop_requested);
    return work(options, launch, "mpi", executor);
  });
}

ExitCode run_cuda_within_mpi(const WorkerOptions& options, const Launch& launch) {
  return within_mpi(launch, [&](const runtime::MpiWorld& world) {
    runtime::MpiRendezvous rendezvous(world);
    return work_on_cuda(options, launch, &rendezvous);
  });
}
#else
ExitCode run_mpi(const WorkerOptions&, const Launch&) {
  throw LaunchError("this fabricast was built without MPI: install libopenmpi-dev, configure and build again, or use --backend host");
}

ExitCode run_cuda_within_mpi(const WorkerOptions&, const Launch&) {
  throw LaunchError("how do the ranks meet? This fabricast was built without MPI: say where rank 0 listens, --master-addr and --master-port");
}
#endif

/// Over TCP where somebody says where rank 0 listens (torchrun does), else over MPI.
ExitCode run_cuda(const WorkerOptions& options, const Launch& launch) {
  prepare_cuda_environment();   // before an MPI that knows CUDA starts its driver
  if (launch.size == 1) return work_on_cuda(options, launch, nullptr);
  if (launch.master_address.empty()) return run_cuda_within_mpi(options, launch);
  return guarded(launch.rank, [&] {
    runtime::TcpRendezvous rendezvous({launch.master_address, static_cast<std::uint16_t>(launch.master_port), Rank{launch.rank}, launch.size,
                                       Seconds(60)});
    return work_on_cuda(options, launch, &rendezvous);
  });
}

ExitCode run_host(const WorkerOptions& options, const Launch& launch) {
  if (launch.size > 1) {
    throw LaunchError(fmt::format("the host backend runs all ranks in one process and {} started {}; use --backend mpi", launch.source, launch.size));
  }
  runtime::HostExecutor executor;
  return work(options, launch, "host", executor);
}

ExitCode run(const WorkerOptions& options) {
  const Launch launch = resolve_launch(options.launch, options.environment);
  if (options.print_launch) {
    print(fmt::format("rank {} of {}, local rank {}, as {} says{}\n", launch.rank, launch.size, launch.local_rank, launch.source,
                      launch.master_address.empty() ? "" : fmt::format("; rank 0 at {}:{}", launch.master_address, launch.master_port)));
    return ExitCode::success;
  }
  if (options.microbench && options.backend != "cuda") {
    throw LaunchError("--microbench of a worker times GPUs: --backend cuda (fabricast execute --microbench times a host)");
  }
  if (options.experiment.empty() && !options.microbench) throw LaunchError("which experiment? fabricast-worker EXPERIMENT (see --help)");
  const std::string backend = !options.backend.empty() ? options.backend : launch.size > 1 ? "mpi" : "host";
  if (backend == "host") return run_host(options, launch);
  if (backend == "mpi") return guarded(launch.rank, [&] { return run_mpi(options, launch); });
  if (backend == "cuda") return guarded(launch.rank, [&] { return run_cuda(options, launch); });
  throw LaunchError("--backend is 'host', 'mpi' or 'cuda', not '" + backend + "'");
}

}  // namespace

}  // namespace fabricast::tools

int main(int argc, char** argv) {
  using namespace fabricast::tools;
  std::signal(SIGPIPE, SIG_IGN);
  return static_cast<int>(guarded(std::nullopt, [&] {
    const ParsedWorker parsed = parse_worker_options(argc, argv);
    if (parsed.text.empty()) return run(parsed.options);
    print(parsed.text);
    return ExitCode::success;
  }));
}
