#include <unistd.h>

#include <atomic>
#include <charconv>
#include <csignal>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "hardware_models/config_error.hpp"
#include "tools/fabricast/commands.hpp"
#include "tools/fabricast/line_file.hpp"
#include "tools/fabricast/options.hpp"
#include "tools/fabricast/output.hpp"
#include "tools/fabricast/progress.hpp"
#include "validation/grid.hpp"
#include "validation/grid_summary.hpp"
#include "validation/parallel.hpp"

namespace fabricast::tools {

namespace {

using validation::PointKey;
using validation::PointResult;
using validation::PreparedPoint;

/// Says what to do next and ends as if there were no handler. What is finished is in the file already.
void end_resumably(int signal) {
  constexpr std::string_view message = "\nfabricast: stopped; what is finished is in the file, and the same command goes on from there\n";
  (void)!::write(STDERR_FILENO, message.data(), message.size());
  (void)std::signal(signal, SIG_DFL);
  (void)std::raise(signal);
}

/// Shards count from 1, as GNU parallel's {#} does.
struct Shard {
  std::size_t index = 1, count = 1;
};

Shard parse_shard(const std::string& text) {
  const auto complain = [&](const std::string& why) -> Shard {
    throw UsageError("--shard " + hw::shown(text) + ": " + why + "; write i/n with i from 1 to n (Slurm: --array=1-16 and --shard $SLURM_ARRAY_TASK_ID/16)");
  };
  const char* const end = text.data() + text.size();
  Shard shard;
  const auto index = std::from_chars(text.data(), end, shard.index);
  if (index.ec != std::errc{} || index.ptr == end || *index.ptr != '/') return complain("is no shard");
  const auto count = std::from_chars(index.ptr + 1, end, shard.count);
  if (count.ec != std::errc{} || count.ptr != end) return complain("is no shard");
  if (shard.count == 0) return complain("there are no shards");
  if (shard.index == 0) return complain("shards count from 1");
  if (shard.index > shard.count) return complain("there is no such shard");
  return shard;
}

class SweepCommand final : public Command {
 public:
  explicit SweepCommand(Syntax& syntax);
  [[nodiscard]] ExitCode run() const override;

 private:
  CommonOptions common_;
  SimulationOptions simulation_;
  ThreadOptions threads_;
  std::string sweep_, out_, shard_ = "1/1";
  std::int64_t top_ = 10;
};

SweepCommand::SweepCommand(Syntax& syntax) {
  syntax.argument("sweep", sweep_, "Sweep file: an experiment and the values that its keys take");
  syntax.option("--out", out_, "Add a line of JSON per point to this file; points that are in it already are not forecast again", "FILE.jsonl");
  syntax.option("--shard", shard_, "Only every n-th point, beginning with the i-th; i is from 1 to n. Give each shard a file of its own", "i/n");
  threads_.declare(syntax);
  syntax.option("--top", top_, "How many of the best points to list");
  simulation_.declare_model(syntax);
  common_.declare(syntax);
  syntax.example(
      "Example: tensor and expert degrees by micro-batches, in a Slurm array of four jobs, then all in one table\n"
      "  sbatch --array=1-4 --wrap 'fabricast sweep configs/sweeps/degrees.json --out part$SLURM_ARRAY_TASK_ID.jsonl --shard $SLURM_ARRAY_TASK_ID/4'\n"
      "  cat part?.jsonl > all.jsonl;  fabricast sweep configs/sweeps/degrees.json --out all.jsonl");
}

/// One run over the points of a shard.
class Sweep {
 public:
  Sweep(const std::string& file, const Shard& shard, validation::GridSettings settings, std::size_t threads, bool quiet)
      : grid_(validation::load_grid(file)), settings_(std::move(settings)), threads_(threads), quiet_(quiet) {
    for (std::size_t point = shard.index - 1; point < grid_.points(); point += shard.count) points_.push_back(point);
    prepare();
  }

  [[nodiscard]] validation::GridSummary run(const std::string& out) {
    std::map<PointKey, Line> known;
    LineFile file(out, [&](std::string_view line, std::size_t number) {
      PointResult result = validation::read_point_line(line, out + " line " + std::to_string(number));
      PointKey key = result.key;
      known.insert_or_assign(std::move(key), Line{number - 1, std::move(result)});
    });
    std::vector<std::optional<Line>> lines(points_.size());
    std::vector<std::size_t> left;
    for (std::size_t i = 0; i < points_.size(); ++i) {
      const auto found = known.find(prepared_[i].key);
      if (found == known.end()) {
        left.push_back(i);
      } else {
        lines[i] = found->second;
      }
    }
    forecast(left, file, lines);
    return summarize(lines, left.size(), file);
  }

 private:
  struct Line {
    LineFile::LineId id;
    PointResult result;
  };

  /// All points are looked at before the first is forecast, so that a key that does not exist is told of at once.
  void prepare() {
    prepared_.resize(points_.size());
    validation::for_each_index(points_.size(), threads_, [&](std::size_t i) { prepared_[i] = validation::prepare_point(grid_, points_[i], settings_); });
    for (const PreparedPoint& point : prepared_) {
      if (!point.error) return;
    }
    if (!prepared_.empty()) throw hw::ConfigError(*prepared_.front().error);
  }

  void forecast(const std::vector<std::size_t>& left, LineFile& file, std::vector<std::optional<Line>>& lines) const {
    Progress progress("points", quiet_);
    std::atomic<std::size_t> done = 0;
    validation::for_each_index(left.size(), threads_, [&](std::size_t turn) {
      const std::size_t i = left[turn];
      const std::string line = validation::forecast_line(grid_, points_[i], prepared_[i], settings_);
      lines[i] = Line{file.append(line), validation::read_point_line(line, "a line of this run")};
      progress.show(++done, left.size());
    });
  }

  [[nodiscard]] validation::GridSummary summarize(std::vector<std::optional<Line>>& lines, std::size_t forecast_now, LineFile& file) const {
    validation::GridSummary result;
    result.experiment = grid_.experiment.string();
    result.keys = grid_.keys();
    result.taken_from_file = points_.size() - forecast_now;
    std::vector<LineFile::LineId> order;
    for (auto& line : lines) {
      order.push_back(line->id);
      result.points.push_back(std::move(line->result));
    }
    file.put_in_order(order);
    return result;
  }

  validation::Grid grid_;
  validation::GridSettings settings_;
  std::size_t threads_;
  bool quiet_;
  std::vector<std::size_t> points_;        // of the grid
  std::vector<PreparedPoint> prepared_;    // by point
};

ExitCode SweepCommand::run() const {
  if (out_.empty()) throw UsageError("sweep needs --out FILE.jsonl, to which a line per point is added");
  if (top_ < 1) throw UsageError("--top is at least 1, not " + std::to_string(top_));
  require_apart({{"--json", common_.json}, {"--out", out_}});
  Sweep sweep(sweep_, parse_shard(shard_), {common_.sets, simulation_.simulate_options(), FABRICAST_VERSION}, threads_.count(), common_.quiet);
  std::optional<Output> json;
  if (common_.json) json.emplace(*common_.json);
  for (const int signal : {SIGINT, SIGTERM}) (void)std::signal(signal, end_resumably);
  const validation::GridSummary result = sweep.run(out_);
  if (json) {
    json->stream() << validation::to_json(result);
    json->commit();
  }
  if (common_.prints_summary()) print(validation::summary(result, static_cast<std::size_t>(top_), {colour_on_standard_output()}));
  return ExitCode::success;
}

}  // namespace

std::unique_ptr<Command> make_sweep_command(Syntax& syntax) { return std::make_unique<SweepCommand>(syntax); }

}  // namespace fabricast::tools
