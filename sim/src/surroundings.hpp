// What the program under test can change of the process it runs in.
#pragma once

namespace uvsim::surroundings {

// Before a run, and after it, outside of the program. Only what the program changed is put back;
// where it changed nothing, the two cost four system calls.
void keep();
void put_back();
// Descriptors that are opened in this run are not only the program's: a sanitizer has started its
// symbolizer.
void descriptors_are_shared() noexcept;

}  // namespace uvsim::surroundings
