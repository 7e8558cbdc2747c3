// The functions of <uv.h> that uvsim does not simulate.
//
// The rule: every function that any <uv.h> from 1.44 to 1.52 declares is defined. So every program
// links, and one that calls a function of this list is told its name and stopped at that call. A
// function is never silently without effect.
//
// Only the names live here, which is why <uv.h> is not included: the definitions take no arguments,
// and bear libuv's names for the linker alone. A function leaves this list by being written.
#include "unsimulated.hpp"

#include "unsimulated_names.hpp"

#define UVSIM_DEFINE(name)                                                \
  extern "C" [[noreturn]] void uvsim_unsimulated_##name() __asm__(#name); \
  void uvsim_unsimulated_##name() { uvsim::unsimulated(#name); }

UVSIM_EVERY_UNSIMULATED(UVSIM_DEFINE)
