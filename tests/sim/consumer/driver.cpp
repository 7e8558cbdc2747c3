// A driver of uvsim: a thousand runs of a program that waits a day, and one that leaks.
#include <uv.h>

#include <cstdio>
#include <cstdlib>
#include <uvsim/uvsim.hpp>

namespace {

int wait_a_day() {
  uv_loop_t* loop = uv_default_loop();
  uv_timer_t timer;
  if (uv_timer_init(loop, &timer) != 0) return 1;
  const auto on_timer = [](uv_timer_t* handle) {
    uv_close(reinterpret_cast<uv_handle_t*>(handle), nullptr);
  };
  if (uv_timer_start(&timer, on_timer, 24 * 3600 * 1000, 0) != 0) return 1;
  uv_run(loop, UV_RUN_DEFAULT);
  return uv_loop_close(loop);
}

// Nothing points to it afterwards.
int leak() {
  void* volatile forgotten = std::malloc(10);
  forgotten = nullptr;
  return 0;
}

}  // namespace

int main() {
  uvsim::Simulation simulation;
  for (int i = 0; i < 1000; ++i) {
    if (!simulation.run(wait_a_day).ok() || simulation.report().result != 0) return 1;
  }
  const bool found = !simulation.run(leak).ok();
  std::puts(found ? "echoed" : "not found");
  return found ? 0 : 1;
}
