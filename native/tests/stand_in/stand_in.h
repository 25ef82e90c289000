// How tests steer the stand-ins for CUDA's driver and LibTorch's CUDA libraries, which they load
// from the folder STAND_IN_FOLDER. The environment says what they are like from the start:
//   STAND_IN_DEVICES  how many devices (2)          STAND_IN_INIT     what cuInit returns (0)
//   STAND_IN_DRIVER   the driver's CUDA (12080)     STAND_IN_RUNTIME  LibTorch's (12080)
#pragma once

#include <cstdint>

// Of the driver's CUmemorytype and a device's number.
struct StandInMemory {
  uintptr_t begin;
  uintptr_t end;
  int type;
  int device;
  int is_managed;
};

extern "C" {

// From now on these addresses are known to the driver.
void stand_in_memory(StandInMemory memory);

// From now on the device has a context.
void stand_in_use(int device);

// How many contexts are retained or current.
int stand_in_held();

// What this thread's current stream of the device is, and how often streams were waited for.
void* stand_in_stream(int device);
int stand_in_waits(void* stream);

}  // extern "C"
