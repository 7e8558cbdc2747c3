// A first look at a server of which nothing is known: does it listen, does it send back what it
// receives, and which signal ends it. Two ordinary clients on a healthy machine find that out, so
// that nobody has to say it.
#pragma once

#include <functional>

namespace harness {

struct FirstLook {
  bool listens = false;
  bool echoes = false;  // each of two clients got back what it had said, and nothing else
  int stop_signal = 0;  // a uv_signal_t waits for it; 0: for none that ends programs
};

FirstLook look_at(const std::function<int()>& start);

}  // namespace harness
