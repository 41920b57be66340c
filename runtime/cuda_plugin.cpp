#include "runtime/cuda_plugin.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

namespace fabricast::runtime {
namespace {

namespace fs = std::filesystem;

fs::path folder_of_program() {
  std::error_code error;
  return fs::read_symlink("/proc/self/exe", error).parent_path();
}

fs::path find_library() {
  const fs::path folder = folder_of_program();
  for (const fs::path& candidate : {folder / cuda_library_name, folder / ".." / "lib" / cuda_library_name}) {
    std::error_code error;
    if (fs::exists(candidate, error)) return candidate;
  }
  throw BackendUnavailable(fmt::format("fabricast was built without CUDA: there is no {0} in {1} or {1}/../lib; build it where the CUDA "
                                       "toolkit is installed, or use --backend host",
                                       cuda_library_name, folder.string()));
}

}  // namespace

std::unique_ptr<CudaBackend> open_cuda(const fs::path& library) {
  const fs::path path = library.empty() ? find_library() : library;
  void* const handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (!handle) throw BackendUnavailable(fmt::format("cannot open the CUDA backend: {}", dlerror()));
  const auto factory = reinterpret_cast<CudaBackendFactory>(dlsym(handle, cuda_backend_factory));
  if (!factory) throw BackendUnavailable(fmt::format("{} is no CUDA backend of fabricast: {}", path.string(), dlerror()));
  std::string why;
  std::unique_ptr<CudaBackend> backend(factory(&why));
  if (!backend) throw BackendUnavailable(why);
  return backend;
}

}  // namespace fabricast::runtime
