// A library that the purity check must refuse: it reads a clock, by way of the standard library.
#include <chrono>

std::chrono::steady_clock::duration now() {
  return std::chrono::steady_clock::now().time_since_epoch();
}
