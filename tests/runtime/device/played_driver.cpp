// A CUDA driver that is none, for cuDNN to compile with where there is no GPU: it takes the kernels that cuDNN's compiler made for the GPU that
// a document describes, and launches nothing. What cuDNN 9.19 looks for by name; all that it should not need here fails.
#include "tests/runtime/device/played_driver.hpp"

#include <cstring>

namespace {

constexpr int success = 0, not_supported = 801;   // CUresult
std::vector<fabricast::tests::PlayedKernel> kernels;

/// ELF, 64 bits; of NVIDIA's machine (190) bits 8 to 15 of the flags are the compute capability.
fabricast::tests::PlayedKernel read_image(const unsigned char* image) {
  fabricast::tests::PlayedKernel kernel;
  std::uint16_t machine = 0, header_entry = 0, headers = 0;
  std::uint32_t flags = 0;
  std::uint64_t headers_at = 0;
  std::memcpy(&machine, image + 18, sizeof machine);
  std::memcpy(&headers_at, image + 40, sizeof headers_at);
  std::memcpy(&flags, image + 48, sizeof flags);
  std::memcpy(&header_entry, image + 58, sizeof header_entry);
  std::memcpy(&headers, image + 60, sizeof headers);
  kernel.is_for_gpu = std::memcmp(image, "\x7f" "ELF", 4) == 0 && machine == 190;
  kernel.compute_capability = static_cast<int>(flags >> 8U & 0xffU);
  kernel.image.assign(image, image + headers_at + std::uint64_t{header_entry} * headers);
  return kernel;
}

}  // namespace

extern "C" {

void* fabricast_played_kernels() { return &kernels; }

int cuDriverGetVersion(int* version) { return *version = 13000, success; }
int cuDeviceGetCount(int* count) { return *count = 1, success; }
int cuDeviceGet(int* device, int ordinal) { return *device = ordinal, success; }
int cuLibraryLoadData(void** library, const void* image, int*, void**, unsigned, int*, void**, unsigned) {
  kernels.push_back(read_image(static_cast<const unsigned char*>(image)));
  return *library = &kernels, success;
}
int cuLibraryGetKernel(void** kernel, void*, const char* name) {
  kernels.back().name = name;
  return *kernel = &kernels, success;
}
int cuLibraryUnload(void*) { return success; }
int cuKernelSetAttribute(int, int, void*, int) { return success; }
int cuKernelGetAttribute(int* value, int, void*, int) { return *value = 0, success; }

#define FABRICAST_NOT_PLAYED(function) \
  int function() { return not_supported; }
FABRICAST_NOT_PLAYED(cuGetErrorName)
FABRICAST_NOT_PLAYED(cuGetErrorString)
FABRICAST_NOT_PLAYED(cuCtxGetCurrent)
FABRICAST_NOT_PLAYED(cuCtxGetLimit)
FABRICAST_NOT_PLAYED(cuCtxPopCurrent)
FABRICAST_NOT_PLAYED(cuCtxPushCurrent)
FABRICAST_NOT_PLAYED(cuStreamGetCtx)
FABRICAST_NOT_PLAYED(cuLinkCreate)
FABRICAST_NOT_PLAYED(cuLinkAddData)
FABRICAST_NOT_PLAYED(cuLinkComplete)
FABRICAST_NOT_PLAYED(cuLinkDestroy)
FABRICAST_NOT_PLAYED(cuLaunchKernel)
FABRICAST_NOT_PLAYED(cuLaunchKernelEx)
FABRICAST_NOT_PLAYED(cuLaunchCooperativeKernel)
FABRICAST_NOT_PLAYED(cuLibraryLoadFromFile)
FABRICAST_NOT_PLAYED(cuOccupancyMaxPotentialClusterSize)

}  // extern "C"
