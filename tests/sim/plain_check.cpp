// A program without a driver, from its first uv_* call: what it has set before there was a loop
// stays set, and its descriptors are descriptors of the process.
#include <fcntl.h>
#include <netinet/in.h>
#include <uv.h>

#include <cstdlib>
#include <string>

#include "check.hpp"

namespace {

int allocations = 0;

void* counted_malloc(size_t size) {
  ++allocations;
  return std::malloc(size);
}

void what_is_set_before_the_first_loop_stays_set() {
  char name[] = "a plain program";
  char* arguments[] = {name, nullptr};
  int mark = 0;
  uv_key_t key;
  CHECK(uv_replace_allocator(counted_malloc, std::realloc, std::calloc, std::free) == 0);
  CHECK(uv_setup_args(1, arguments) == arguments);
  CHECK(uv_key_create(&key) == 0);
  uv_key_set(&key, &mark);

  CHECK(uv_loop_alive(uv_default_loop()) == 0);

  char title[64];
  CHECK(uv_get_process_title(title, sizeof title) == 0);
  CHECK(std::string(title) == name);
  CHECK(uv_key_get(&key) == &mark);
  uv_key_delete(&key);
  allocations = 0;
  uv_loop_t* const loop = uv_loop_new();
  CHECK(allocations == 1);
  uv_loop_delete(loop);
}

void a_descriptor_is_one_of_the_process() {
  uv_tcp_t tcp;
  CHECK(uv_tcp_init_ex(uv_default_loop(), &tcp, AF_INET) == 0);
  uv_os_fd_t fd = -1;
  CHECK(uv_fileno(reinterpret_cast<uv_handle_t*>(&tcp), &fd) == 0);
  CHECK(fcntl(fd, F_GETFD) >= 0);
  uv_close(reinterpret_cast<uv_handle_t*>(&tcp), nullptr);
  CHECK(fcntl(fd, F_GETFD) < 0);
  CHECK(uv_run(uv_default_loop(), UV_RUN_DEFAULT) == 0);
  CHECK(uv_loop_close(uv_default_loop()) == 0);
}

}  // namespace

int main(int argc, char** argv) {
  const Test tests[] = {
      {"what is set before the first loop stays set", what_is_set_before_the_first_loop_stays_set},
      {"a descriptor is one of the process", a_descriptor_is_one_of_the_process},
  };
  return run_tests(tests, argc, argv);
}
