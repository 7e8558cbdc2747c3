// Something that must not disturb this process: it is done in a child process.
#pragma once

#include <functional>

namespace harness {

// Does `work` in a child of this process, and waits for its end. What the child prints goes to the
// descriptor `output`, which stays the caller's. In the child the handlers of an engine's signals
// are taken away, and it dies of SIGALRM after `seconds_max`. Returns its status, as waitpid has
// it, or -1 if there is no child.
int do_in_child(unsigned seconds_max, int output, const std::function<void()>& work);

}  // namespace harness
