// Runs the command as other programs do.
#pragma once

#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "tests/temporary_folder.hpp"

namespace fabricast::tests {

inline std::string text_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

struct Ran {
  int code;
  std::string out, err;
};

/// In the source directory. The shell reads `arguments`; `environment`: assignments before the command.
inline Ran run_fabricast(const std::string& arguments, const std::string& environment = "") {
  const TemporaryFolder folder("run_streams");
  const std::string out = (folder.path() / "out").string(), err = (folder.path() / "err").string();
  const int status =
      std::system(("cd '" FABRICAST_SOURCE_DIR "' && " + environment + " '" FABRICAST_BINARY "' " + arguments + " >'" + out + "' 2>'" + err + "'").c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, text_of(out), text_of(err)};
}

}  // namespace fabricast::tests
