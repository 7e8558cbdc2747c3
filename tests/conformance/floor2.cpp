// See floor2.hpp.
#include "floor2.hpp"

#include <uv.h>

#include <cstdlib>

#include "syscalls/syscalls.hpp"

namespace conformance {

namespace {

kernel::Process* playing = nullptr;

void make_what_stays() {
  static bool is_made = false;
  if (is_made) return;
  uv_loop_t loop;
  if (uv_loop_init(&loop) != 0 || uv_loop_close(&loop) != 0) std::abort();
  is_made = true;
}

}  // namespace

std::string on_a_fresh_machine(const std::function<void()>& play) {
  make_what_stays();
  // Linux's buffers hold amounts that are not round, and the last read of a transfer is a short
  // one.
  kernel::Options options;
  options.tcp_receive_buffer = 127'973;
  kernel::Machine machine(options);
  kernel::Process process(machine, syscalls::first_descriptor);
  syscalls::use(&process, &machine, nullptr);
  playing = &process;
  play();
  playing = nullptr;
  syscalls::use(nullptr, nullptr, nullptr);
  const int left = process.open_descriptors();
  return left == 0 ? "" : std::to_string(left) + " descriptors were left open\n";
}

kernel::Process& playing_process() { return *playing; }

}  // namespace conformance
