// Threads that libuv did not make: they wake the loop, and wait for it on a condition.
#include <uv.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <future>
#include <mutex>
#include <queue>
#include <thread>
#include <vector>

namespace {

constexpr int jobs_max = 5;
std::mutex mutex;
std::condition_variable changed;
std::queue<int> jobs;
std::queue<int> results;
bool over = false;
int given = 0;
int heard = 0;
uv_async_t wake;
uv_timer_t timer;

void work() {
  for (;;) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [] { return over || !jobs.empty(); });
    if (over) return;
    const int job = jobs.front();
    jobs.pop();
    lock.unlock();
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    lock.lock();
    results.push(job);
    uv_async_send(&wake);
  }
}

void on_wake(uv_async_t* async) {
  const std::lock_guard lock(mutex);
  for (; !results.empty(); results.pop()) ++heard;
  if (heard < jobs_max) return;
  over = true;
  changed.notify_all();
  uv_close(reinterpret_cast<uv_handle_t*>(async), nullptr);
}

void on_timer(uv_timer_t* handle) {
  {
    const std::lock_guard lock(mutex);
    jobs.push(++given);
  }
  changed.notify_one();
  if (given == jobs_max) uv_close(reinterpret_cast<uv_handle_t*>(handle), nullptr);
}

}  // namespace

int main() {
  uv_loop_t* const loop = uv_default_loop();
  uv_async_init(loop, &wake, on_wake);
  std::vector<std::thread> workers;
  for (int i = 0; i < 3; ++i) workers.emplace_back(work);
  uv_timer_init(loop, &timer);
  uv_timer_start(&timer, on_timer, 10, 10);
  uv_run(loop, UV_RUN_DEFAULT);
  for (std::thread& worker : workers) worker.join();
  std::printf("%d of %d results\n", heard, jobs_max);

  // A thread of libuv's that waits on what libuv knows nothing of.
  over = false;
  uv_thread_t thread;
  uv_async_init(loop, &wake, [](uv_async_t* async) {
    std::puts("woken");
    uv_close(reinterpret_cast<uv_handle_t*>(async), nullptr);
  });
  uv_thread_create(
      &thread,
      [](void*) {
        std::unique_lock lock(mutex);
        changed.wait(lock, [] { return over; });
        uv_async_send(&wake);
      },
      nullptr);
  uv_timer_init(loop, &timer);
  uv_timer_start(
      &timer,
      [](uv_timer_t* handle) {
        const std::lock_guard lock(mutex);
        over = true;
        changed.notify_all();
        uv_close(reinterpret_cast<uv_handle_t*>(handle), nullptr);
      },
      10, 0);
  auto answer = std::async(std::launch::async, [] { return 42; });
  uv_run(loop, UV_RUN_DEFAULT);
  uv_thread_join(&thread);
  std::printf("and %d\n", answer.get());
  return uv_loop_close(loop);
}
