#include "runtime/cuda/cudnn_api.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <sstream>

namespace fabricast::runtime::cuda {
namespace {

constexpr const char* library_name = "libcudnn.so.9";
constexpr std::size_t oldest = 91002;   // earlier ones have faults in attention, or want another score for hidden keys (cudnn-frontend's checks)

std::string text_of(std::size_t version) { return fmt::format("{}.{}.{}", version / 10000, version % 10000 / 100, version % 100); }

/// dlerror's text without line breaks.
std::string why_not_loaded() {
  const char* const text = dlerror();
  std::string why = text ? text : "it does not load";
  std::replace(why.begin(), why.end(), '\n', ' ');
  return why;
}

}  // namespace

Cudnn::Cudnn() {
  void* const library = dlopen(library_name, RTLD_NOW | RTLD_LOCAL);
  if (!library) throw std::runtime_error(fmt::format("cuDNN is not there: {}", why_not_loaded()));
  const auto find = [&](auto& function, const char* name) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, name));
    if (!function) throw std::runtime_error(fmt::format("wrong cuDNN: {} has no {}", library_name, name));
  };
  find(version, "cudnnGetVersion");
  find(error_string, "cudnnGetErrorString");
  find(last_error_string, "cudnnGetLastErrorString");
  find(create, "cudnnCreate");
  find(destroy, "cudnnDestroy");
  find(set_stream, "cudnnSetStream");
  find(create_descriptor, "cudnnBackendCreateDescriptor");
  find(destroy_descriptor, "cudnnBackendDestroyDescriptor");
  find(set_attribute, "cudnnBackendSetAttribute");
  find(get_attribute, "cudnnBackendGetAttribute");
  find(finalize, "cudnnBackendFinalize");
  find(execute, "cudnnBackendExecute");
  if (version() >= oldest) return;
  throw std::runtime_error(fmt::format("wrong cuDNN: version {} was found, {} or newer is needed", text_of(version()), text_of(oldest)));
}

std::string Cudnn::version_text() const { return text_of(version()); }

void Cudnn::check(cudnnStatus_t status) const {
  if (status == CUDNN_STATUS_SUCCESS) return;
  const std::string words = last_words();
  throw CudnnError(fmt::format("{}{}{}", error_string(status), words.empty() ? "" : ": ", words), status);
}

/// One line a reason, "Warning: CUDNN_STATUS_…; Reason: …", those of an engine below a line that is its JSON; or a single line of another form.
std::string Cudnn::last_words() const {
  std::array<char, 2048> text{};
  last_error_string(text.data(), text.size() - 1);
  std::istringstream lines(text.data());
  std::string first;
  for (std::string line; std::getline(lines, line);) {
    const std::size_t status = line.find("CUDNN_STATUS");
    if (status != std::string::npos) return line.substr(status);
    if (first.empty()) first = line;
  }
  return first;
}

std::int64_t CudnnDescriptor::number(cudnnBackendAttributeName_t name) const {
  std::int64_t value = 0, count = 0;
  cudnn_->check(cudnn_->get_attribute(descriptor_, name, CUDNN_TYPE_INT64, 1, &count, &value));
  return value;
}

std::vector<CudnnDescriptor> CudnnDescriptor::descriptors(cudnnBackendAttributeName_t name, cudnnBackendDescriptorType_t type) const {
  std::int64_t count = 0;
  cudnn_->check(cudnn_->get_attribute(descriptor_, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, &count, nullptr));
  std::vector<CudnnDescriptor> found;
  std::vector<cudnnBackendDescriptor_t> places;
  for (std::int64_t i = 0; i < count; ++i) places.push_back(found.emplace_back(*cudnn_, type).get());
  if (count == 0) return found;
  std::int64_t filled = 0;
  cudnn_->check(cudnn_->get_attribute(descriptor_, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, count, &filled, places.data()));
  found.erase(found.begin() + std::clamp<std::int64_t>(filled, 0, count), found.end());
  return found;
}

std::vector<cudnnBackendNumericalNote_t> CudnnDescriptor::numerical_notes() const {
  std::vector<cudnnBackendNumericalNote_t> notes(CUDNN_NUMERICAL_NOTE_TYPE_COUNT);
  std::int64_t count = 0;
  cudnn_->check(cudnn_->get_attribute(descriptor_, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE, CUDNN_NUMERICAL_NOTE_TYPE_COUNT,
                                      &count, notes.data()));
  notes.resize(static_cast<std::size_t>(std::clamp<std::int64_t>(count, 0, CUDNN_NUMERICAL_NOTE_TYPE_COUNT)));
  return notes;
}

}  // namespace fabricast::runtime::cuda
