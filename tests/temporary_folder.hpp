// A folder for one test's files, removed afterwards.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace fabricast::tests {

class TemporaryFolder {
 public:
  /// The process id keeps tests that run side by side apart.
  explicit TemporaryFolder(std::string_view name)
      : path_(std::filesystem::temp_directory_path() / ("fabricast_" + std::string(name) + "_" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(path_);
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

  /// Writes a file, and the folders that it lies in.
  std::filesystem::path write(const std::string& name, std::string_view text) const {
    const std::filesystem::path file = path_ / name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream stream(file, std::ios::binary);
    stream << text;
    return file;
  }

 private:
  std::filesystem::path path_;
};

}  // namespace fabricast::tests
