#include "tools/fabricast/sweep.hpp"

#include <filesystem>

#include "tools/fabricast/options.hpp"

namespace fabricast::tools {

namespace {

std::vector<std::string> settings_of(const std::string& axis) {
  const std::size_t equals = axis.find('=');
  if (equals == std::string::npos || equals == 0) {
    throw UsageError("--best takes KEY=VALUE,VALUE,..., not '" + axis + "' (for example workload.micro_batches=1,2,4)");
  }
  std::vector<std::string> settings;
  const std::string key = axis.substr(0, equals + 1);
  for (std::size_t begin = equals + 1; begin <= axis.size();) {
    const std::size_t end = std::min(axis.find(',', begin), axis.size());
    if (end == begin) throw UsageError("--best " + axis + ": a value is empty");
    settings.push_back(key + axis.substr(begin, end - begin));
    begin = end + 1;
  }
  if (settings.empty()) throw UsageError("--best " + axis + ": a value is missing");
  return settings;
}

bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
}

}  // namespace

std::vector<std::vector<std::string>> combinations(const std::vector<std::string>& axes) {
  std::vector<std::vector<std::string>> all{{}};
  for (const std::string& axis : axes) {
    std::vector<std::vector<std::string>> longer;
    const std::vector<std::string> settings = settings_of(axis);
    for (const auto& combination : all) {
      for (const std::string& setting : settings) {
        longer.push_back(combination);
        longer.back().push_back(setting);
      }
    }
    all = std::move(longer);
  }
  return all;
}

std::string plain_name(std::string name) {
  for (char& c : name) c = is_plain(c) ? c : '_';
  return name;
}

std::string path_for(const std::string& path, const std::string& experiment) {
  const std::string name = plain_name(experiment);
  const std::filesystem::path file(path);
  if (std::filesystem::is_directory(file)) return (file / (name + ".trace.json")).string();
  return (file.parent_path() / (file.stem().string() + "." + name + file.extension().string())).string();
}

}  // namespace fabricast::tools
