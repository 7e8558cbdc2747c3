// The static data of the program under test, put back between the runs of one process.
#pragma once

#include <cstddef>

#include "internal.hpp"

namespace uvsim::statics {

// Before a run: what the driver changed since the last run is the driver's from now on.
void look();
// In the run: as the loader left it, then the program's own constructors.
void construct(Context& context);
// Called in the run, by the program: true if the handler is one of this run.
bool keeps_exit_handler(void (*function)(void*), void* argument);
// In the run, at the end of the program: last first.
void run_exit_handlers(Context& context);
// After a run: as it was before the first.
void put_back();

}  // namespace uvsim::statics
