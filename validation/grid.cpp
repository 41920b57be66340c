#include "validation/grid.hpp"

#include <fmt/format.h>

#include <set>
#include <utility>

#include "hardware_models/json_reader.hpp"
#include "validation/node_text.hpp"

namespace fabricast::validation {

namespace {

using hw::JsonNode;

constexpr std::size_t most_points = 10'000'000;

class GridReader {
 public:
  explicit GridReader(const std::filesystem::path& path) : document_(hw::parse_json_file(path)), reader_(document_) {
    grid_.experiment = (path.parent_path() / reader_.text("experiment")).lexically_normal();
  }

  [[nodiscard]] Grid read() {
    if (const JsonNode* set = reader_.optional_child("set")) {
      for (const auto& [key, values] : hw::as_object(*set)) {
        grid_.axes.push_back({{read_key(key, values)}});
        check_steps(grid_.axes.back());
      }
    }
    if (const JsonNode* zip = reader_.optional_child("zip")) {
      for (const JsonNode& axis : hw::as_array(*zip)) grid_.axes.push_back(read_zipped(axis));
    }
    reader_.finish();
    if (grid_.axes.empty()) hw::fail(document_, "sets nothing; write as in \"set\": {\"workload.micro_batches\": [1, 2, 4]}");
    check_size();
    return std::move(grid_);
  }

 private:
  GridAxis::Key read_key(const std::string& key, const JsonNode& values) {
    if (key.empty() || key.find('=') != std::string::npos) hw::fail(values, "the key must be a dotted path, as in \"workload.micro_batches\"");
    if (!keys_.insert(key).second) hw::fail(values, fmt::format("{} is set twice; name every key once", hw::shown(key)));
    GridAxis::Key read{key, hw::as_array(values)};
    if (read.values.empty()) hw::fail(values, "needs at least one value");
    return read;
  }

  GridAxis read_zipped(const JsonNode& node) {
    GridAxis axis;
    for (const auto& [key, values] : hw::as_object(node)) {
      axis.keys.push_back(read_key(key, values));
      const std::size_t count = axis.keys.back().values.size();
      if (count == axis.size()) continue;
      hw::fail(values, fmt::format("has {} values, but {} beside it has {}; keys that move together need equally many", count,
                                   hw::shown(axis.keys.front().path), axis.size()));
    }
    if (axis.keys.empty()) hw::fail(node, R"(sets nothing; write as in {"strategy.tensor": [1, 2], "strategy.expert": [64, 32]})");
    check_steps(axis);
    return axis;
  }

  static void check_steps(const GridAxis& axis) {
    std::set<std::string> steps;
    for (std::size_t i = 0; i < axis.size(); ++i) {
      std::string step;
      for (const GridAxis::Key& key : axis.keys) step += canonical_text(key.values[i]) + "\n";
      if (!steps.insert(std::move(step)).second) hw::fail(axis.keys.front().values[i], "this step of the axis occurs twice; name every one once");
    }
  }

  void check_size() const {
    double points = 1;
    for (const GridAxis& axis : grid_.axes) points *= static_cast<double>(axis.size());
    if (points > most_points) hw::fail(document_, fmt::format("makes {:.3g} points; at most {} are taken", points, most_points));
  }

  JsonNode document_;
  hw::ObjectReader reader_;
  Grid grid_;
  std::set<std::string> keys_;
};

}  // namespace

std::size_t Grid::points() const {
  std::size_t product = 1;
  for (const GridAxis& axis : axes) product *= axis.size();
  return product;
}

std::vector<std::string> Grid::keys() const {
  std::vector<std::string> names;
  for (const GridAxis& axis : axes) {
    for (const GridAxis::Key& key : axis.keys) names.push_back(key.path);
  }
  return names;
}

std::vector<JsonNode> Grid::values(std::size_t point) const {
  std::vector<std::size_t> step(axes.size());
  for (std::size_t a = axes.size(); a-- > 0;) {
    step[a] = point % axes[a].size();
    point /= axes[a].size();
  }
  std::vector<JsonNode> result;
  for (std::size_t a = 0; a < axes.size(); ++a) {
    for (const GridAxis::Key& key : axes[a].keys) result.push_back(key.values[step[a]]);
  }
  return result;
}

std::vector<std::string> Grid::settings(std::size_t point) const {
  const std::vector<std::string> names = keys();
  const std::vector<JsonNode> chosen = values(point);
  std::vector<std::string> result;
  for (std::size_t i = 0; i < names.size(); ++i) result.push_back(names[i] + "=" + one_line_text(chosen[i]));
  return result;
}

Grid load_grid(const std::filesystem::path& path) { return GridReader(path).read(); }

}  // namespace fabricast::validation
