// The driver's management library played: a GPU whose clock falls by 10 MHz each time that it is asked.
#include <cstring>

extern "C" {

int nvmlInit_v2() { return 0; }
int nvmlSystemGetDriverVersion(char* version, unsigned length) { return std::strncpy(version, "580.65.06", length), 0; }
int nvmlDeviceGetHandleByPciBusId_v2(const char* bus_id, void** device) {
  static int the_device;
  *device = &the_device;
  return std::strcmp(bus_id, "0000:00:00.0") == 0 ? 0 : 6;   // NVML_ERROR_NOT_FOUND
}
int nvmlDeviceGetClockInfo(void*, int which, unsigned* mhz) {
  static unsigned now = 1990;
  if (which != 1) return 2;                                  // NVML_ERROR_INVALID_ARGUMENT
  *mhz = now -= 10;
  return 0;
}

}  // extern "C"
