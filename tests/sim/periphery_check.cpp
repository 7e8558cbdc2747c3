// What surrounds the simulation: work for the pool, names looked up, threads and locks, the process
// and the machine. A program of its own, so that it also runs under MemorySanitizer.
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include <csignal>
#include <string>
#include <uvsim/uvsim.hpp>

#include "check.hpp"

namespace {

using uvsim::Report;

// Runs `program` in a simulation of its own, and expects nothing to be found.
void simulate(int (*program)()) {
  uvsim::Simulation simulation;
  const Report& report = simulation.run(program);
  CHECK(report.ok() && report.finished && report.result == 0);
  if (!report.ok()) std::fprintf(stderr, "%s\n", report.summary().c_str());
}

// The same, for a program that must be stopped with these words.
bool is_stopped(const char* words, int (*program)()) {
  uvsim::Simulation simulation;
  const Report& report = simulation.run(program);
  const bool found = report.summary().find(words) != std::string::npos;
  if (!found) std::fprintf(stderr, "expected '%s', got '%s'\n", words, report.summary().c_str());
  return found;
}

int finish(uv_loop_t* loop) {
  CHECK(uv_run(loop, UV_RUN_DEFAULT) == 0);
  CHECK(uv_loop_close(loop) == 0);
  return 0;
}

// ---- Work
// ----------------------------------------------------------------------------------------

std::string story;

void work_is_done_and_reported_in_order() {
  simulate([] {
    uv_loop_t* loop = uv_default_loop();
    uv_work_t requests[2];
    story.clear();
    CHECK(uv_queue_work(loop, &requests[0], nullptr, nullptr) == UV_EINVAL);
    for (uv_work_t& request : requests) {
      CHECK(uv_queue_work(
                loop, &request, [](uv_work_t*) { story += 'w'; },
                [](uv_work_t*, int status) {
                  CHECK(status == 0);
                  story += 'd';
                }) == 0);
    }
    CHECK(story.empty());
    CHECK(uv_loop_alive(loop) == 1);
    finish(loop);
    CHECK(story == "wwdd");
    story.shrink_to_fit();
    return 0;
  });
}

void work_without_a_report_is_done_too() {
  simulate([] {
    uv_work_t request;
    static bool done = false;
    CHECK(
        uv_queue_work(uv_default_loop(), &request, [](uv_work_t*) { done = true; }, nullptr) == 0);
    finish(uv_default_loop());
    CHECK(done);
    return 0;
  });
}

// R36: what another thread may do.
void a_worker_may_wake_the_loop_and_run_its_own() {
  simulate([] {
    uv_loop_t* loop = uv_default_loop();
    static uv_async_t wake;
    static uv_thread_t worker;
    uv_work_t request;
    static bool woken = false;
    CHECK(uv_async_init(loop, &wake, [](uv_async_t* handle) {
            woken = true;
            uv_close(reinterpret_cast<uv_handle_t*>(handle), nullptr);
          }) == 0);
    wake.data = &request;
    const auto work = [](uv_work_t* done) {
      CHECK(uv_handle_get_data(reinterpret_cast<uv_handle_t*>(&wake)) == done);
      CHECK(uv_async_send(&wake) == 0);
      uv_loop_t own;
      uv_timer_t timer;
      CHECK(uv_loop_init(&own) == 0);
      CHECK(uv_timer_init(&own, &timer) == 0);
      uv_timer_start(
          &timer, [](uv_timer_t* late) { uv_close(reinterpret_cast<uv_handle_t*>(late), nullptr); },
          1, 0);
      CHECK(uv_run(&own, UV_RUN_DEFAULT) == 0);
      CHECK(uv_loop_close(&own) == 0);
      worker = uv_thread_self();
    };
    CHECK(uv_queue_work(loop, &request, work,
                        [](uv_work_t*, int) { CHECK(uv_thread_self() != worker); }) == 0);
    finish(loop);
    CHECK(woken);
    return 0;
  });
}

void a_thread_may_run_a_loop_that_was_prepared_for_it() {
  simulate([] {
    static uv_loop_t loop;
    static uv_timer_t timer;
    uv_thread_t thread;
    CHECK(uv_loop_init(&loop) == 0);
    CHECK(uv_timer_init(&loop, &timer) == 0);
    const auto close = [](uv_timer_t* late) {
      uv_close(reinterpret_cast<uv_handle_t*>(late), nullptr);
    };
    CHECK(uv_timer_start(&timer, close, 1, 0) == 0);
    const auto entry = [](void*) { CHECK(uv_run(&loop, UV_RUN_DEFAULT) == 0); };
    CHECK(uv_thread_create(&thread, entry, nullptr) == 0);
    CHECK(uv_thread_join(&thread) == 0);
    CHECK(uv_loop_close(&loop) == 0);
    return 0;
  });
}

void waiting_work_can_be_cancelled() {
  simulate([] {
    uv_loop_t* loop = uv_default_loop();
    static uv_work_t request;
    uv_getaddrinfo_t lookup;
    uv_getnameinfo_t naming;
    uv_random_t random;
    static int cancelled;
    cancelled = 0;
    static char bytes[4];
    sockaddr_in address;
    uv_ip4_addr("127.0.0.1", 80, &address);
    uv_queue_work(
        loop, &request, [](uv_work_t*) { CHECK(false); },
        [](uv_work_t* work, int status) {
          cancelled += status == UV_ECANCELED;
          CHECK(uv_cancel(reinterpret_cast<uv_req_t*>(work)) == UV_EBUSY);
        });
    uv_getaddrinfo(
        loop, &lookup,
        [](uv_getaddrinfo_t*, int status, addrinfo*) { cancelled += status == UV_EAI_CANCELED; },
        "localhost", nullptr, nullptr);
    uv_getnameinfo(
        loop, &naming,
        [](uv_getnameinfo_t*, int status, const char* host, const char*) {
          cancelled += status == UV_EAI_CANCELED && host == nullptr;
        },
        reinterpret_cast<sockaddr*>(&address), 0);
    uv_random(loop, &random, bytes, sizeof bytes, 0,
              [](uv_random_t*, int status, void*, size_t) { cancelled += status == UV_ECANCELED; });
    // The last first, so that the others are looked past.
    CHECK(uv_cancel(reinterpret_cast<uv_req_t*>(&random)) == 0);
    CHECK(uv_cancel(reinterpret_cast<uv_req_t*>(&naming)) == 0);
    CHECK(uv_cancel(reinterpret_cast<uv_req_t*>(&lookup)) == 0);
    CHECK(uv_cancel(reinterpret_cast<uv_req_t*>(&request)) == 0);
    CHECK(uv_cancel(reinterpret_cast<uv_req_t*>(&request)) == UV_EBUSY);
    finish(loop);
    CHECK(cancelled == 4);
    return 0;
  });
}

// ---- The one thing that is done to the file system

void names_of_pipes_are_taken_away() {
  simulate([] {
    uv_loop_t* loop = uv_default_loop();
    uv_pipe_t pipe;
    uv_fs_t request;
    uv_pipe_init(loop, &pipe, 0);
    CHECK(uv_pipe_bind(&pipe, "/tmp/uvsim-name") == 0);
    CHECK(uv_fs_unlink(loop, nullptr, "/tmp/uvsim-name", nullptr) == UV_EINVAL);
    CHECK(uv_fs_unlink(loop, &request, "/tmp/uvsim-name", nullptr) == 0);
    CHECK(uv_fs_get_type(&request) == UV_FS_UNLINK && uv_fs_get_result(&request) == 0);
    CHECK(uv_fs_get_ptr(&request) == nullptr && uv_fs_get_statbuf(&request) == &request.statbuf);
    CHECK(std::strcmp(uv_fs_get_path(&request), "/tmp/uvsim-name") == 0);
    uv_fs_req_cleanup(&request);
    uv_fs_req_cleanup(nullptr);
    CHECK(uv_fs_get_path(&request) == nullptr);
    CHECK(uv_fs_unlink(loop, &request, "/tmp/uvsim-name", nullptr) == UV_ENOENT);
    CHECK(uv_fs_get_system_error(&request) == -UV_ENOENT);
    static ssize_t results[2];
    static int count;
    count = 0;
    uv_fs_t later[2];
    for (uv_fs_t& each : later) {
      CHECK(uv_fs_unlink(loop, &each, "/tmp/uvsim-name", [](uv_fs_t* done) {
              results[count++] = done->result;
              uv_fs_req_cleanup(done);
              uv_fs_req_cleanup(done);
            }) == 0);
    }
    CHECK(uv_cancel(reinterpret_cast<uv_req_t*>(&later[1])) == 0);
    uv_close(reinterpret_cast<uv_handle_t*>(&pipe), nullptr);
    finish(loop);
    // What was cancelled waits for no worker.
    CHECK(results[0] == UV_ECANCELED && results[1] == UV_ENOENT);
    return 0;
  });
}

void files_are_not_taken_away() {
  char directory[] = "/tmp/uvsim-XXXXXX";
  CHECK(mkdtemp(directory) != nullptr);
  static sockaddr_un socket_left_behind;
  socket_left_behind.sun_family = AF_UNIX;
  std::snprintf(socket_left_behind.sun_path, sizeof socket_left_behind.sun_path, "%s/socket",
                directory);
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  CHECK(bind(fd, reinterpret_cast<sockaddr*>(&socket_left_behind), sizeof socket_left_behind) == 0);
  close(fd);
  simulate([] {
    uv_fs_t request;
    CHECK(uv_fs_unlink(nullptr, &request, socket_left_behind.sun_path, nullptr) == 0);
    return 0;
  });
  CHECK(unlink(socket_left_behind.sun_path) == 0);
  CHECK(is_stopped("uv_fs_unlink of a file is not simulated", [] {
    uv_fs_t request;
    return uv_fs_unlink(nullptr, &request, "/dev/null", nullptr);
  }));
  CHECK(rmdir(directory) == 0);
}

// The World would take it for one that waits for ever.
void the_hook_is_told_when_a_thread_wakes_up() {
  uvsim::Simulation simulation;
  bool slept = false;
  simulation.on_poll([&](uvsim::Network&, uvsim::Wait wait) {
    slept = slept || (wait.ns > 0 && wait.ns <= 5'000'000);
    CHECK(wait.ns != uvsim::Wait::forever);
    return uvsim::Progress::nothing;
  });
  simulation.run([] {
    static uv_work_t request;
    uv_queue_work(uv_default_loop(), &request, [](uv_work_t*) { uv_sleep(5); }, nullptr);
    return finish(uv_default_loop());
  });
  CHECK(slept);
}

void running_work_and_other_requests_cannot_be_cancelled() {
  simulate([] {
    static uv_work_t request;
    uv_queue_work(
        uv_default_loop(), &request,
        [](uv_work_t* work) { CHECK(uv_cancel(reinterpret_cast<uv_req_t*>(work)) == UV_EBUSY); },
        nullptr);
    uv_write_t write;
    write.type = UV_WRITE;
    CHECK(uv_cancel(reinterpret_cast<uv_req_t*>(&write)) == UV_EINVAL);
    return finish(uv_default_loop());
  });
}

void the_ledger_may_be_off() {
  uvsim::Options options;
  options.ledger = false;
  uvsim::Simulation simulation(options);
  CHECK(simulation
            .run([] {
              uv_work_t request;
              uv_queue_work(uv_default_loop(), &request, [](uv_work_t*) {}, nullptr);
              return finish(uv_default_loop());
            })
            .ok());
}

// ---- Addresses looked up
// ---------------------------------------------------------------------------

// "4:80/1 6:80/1 ..." for what a question is answered with, or the error.
std::string answer(const char* node, const char* service, int family, int type, int flags = 0,
                   int protocol = 0) {
  addrinfo hints{};
  hints.ai_family = family;
  hints.ai_socktype = type;
  hints.ai_flags = flags;
  hints.ai_protocol = protocol;
  uv_getaddrinfo_t request;
  const int error = uv_getaddrinfo(uv_default_loop(), &request, nullptr, node, service, &hints);
  if (error != 0) return uv_err_name(error);
  std::string text;
  for (addrinfo* entry = request.addrinfo; entry != nullptr; entry = entry->ai_next) {
    char name[INET6_ADDRSTRLEN];
    uv_ip_name(entry->ai_addr, name, sizeof name);
    text += std::string(name) + "/" + std::to_string(entry->ai_socktype);
    text += ":" + std::to_string(ntohs(reinterpret_cast<sockaddr_in*>(entry->ai_addr)->sin_port));
    if (entry->ai_canonname != nullptr) text += std::string("=") + entry->ai_canonname;
    text += " ";
  }
  uv_freeaddrinfo(request.addrinfo);
  return text;
}

void names_are_looked_up_in_a_world_of_one_machine() {
  simulate([] {
    CHECK(answer("1.2.3.4", "80", AF_UNSPEC, SOCK_STREAM) == "1.2.3.4/1:80 ");
    CHECK(answer("1.2.3.4", nullptr, AF_UNSPEC, 0) == "1.2.3.4/1:0 1.2.3.4/2:0 1.2.3.4/3:0 ");
    CHECK(answer("::5", "http", AF_INET6, SOCK_STREAM) == "::5/1:80 ");
    CHECK(answer("::5", "http", AF_UNSPEC, SOCK_STREAM) == "::5/1:80 ");
    CHECK(answer("::5", "80x", AF_UNSPEC, SOCK_STREAM) == "EAI_SERVICE");
    CHECK(answer("localhost", "7", AF_UNSPEC, SOCK_STREAM) == "127.0.0.1/1:7 ::1/1:7 ");
    CHECK(answer("localhost", "7", AF_INET6, SOCK_DGRAM) == "::1/2:7 ");
    CHECK(answer("localhost", "7", AF_INET, 0, 0, IPPROTO_UDP) == "127.0.0.1/2:7 ");
    CHECK(answer(nullptr, "7", AF_INET, SOCK_STREAM, AI_PASSIVE) == "0.0.0.0/1:7 ");
    CHECK(answer(nullptr, "7", AF_UNSPEC, SOCK_STREAM) == "127.0.0.1/1:7 ::1/1:7 ");
    CHECK(answer("localhost", "7", AF_INET, SOCK_STREAM, AI_CANONNAME) ==
          "127.0.0.1/1:7=localhost ");
    CHECK(answer(nullptr, "7", AF_INET, SOCK_STREAM, AI_CANONNAME) == "127.0.0.1/1:7 ");
    CHECK(answer("localhost", "7", AF_INET, SOCK_STREAM, AI_NUMERICHOST) == "EAI_NONAME");
    CHECK(answer("nowhere.example", "7", AF_UNSPEC, SOCK_STREAM) == "EAI_NONAME");
    CHECK(answer("1.2.3.4", "7", AF_INET6, SOCK_STREAM) == "EAI_ADDRFAMILY");
    CHECK(answer("::5", "7", AF_INET, SOCK_STREAM) == "EAI_ADDRFAMILY");
    CHECK(answer("::5", "7", AF_UNIX, SOCK_STREAM) == "EAI_FAMILY");
    CHECK(answer("::5", "no such service", AF_UNSPEC, SOCK_STREAM) == "EAI_SERVICE");
    CHECK(answer("::5", "", AF_UNSPEC, SOCK_STREAM) == "EAI_SERVICE");
    CHECK(answer("::5", "http", AF_UNSPEC, SOCK_STREAM, AI_NUMERICSERV) == "EAI_NONAME");
    CHECK(answer(nullptr, nullptr, AF_UNSPEC, 0) == "EINVAL");
    CHECK(answer(std::string(300, 'x').c_str(), nullptr, AF_UNSPEC, 0) == "EINVAL");
    CHECK(uv_getaddrinfo(uv_default_loop(), nullptr, nullptr, "x", "x", nullptr) == UV_EINVAL);
    return finish(uv_default_loop());
  });
}

void an_address_is_looked_up_later_with_a_callback() {
  simulate([] {
    static int answers;
    answers = 0;
    const auto on_answer = [](uv_getaddrinfo_t*, int status, addrinfo* list) {
      CHECK(status == 0 && list != nullptr);
      ++answers;
      uv_freeaddrinfo(list);
    };
    uv_getaddrinfo_t requests[2];
    char node[] = "127.0.0.1";
    char service[] = "80";
    CHECK(uv_getaddrinfo(uv_default_loop(), &requests[0], on_answer, node, nullptr, nullptr) == 0);
    CHECK(uv_getaddrinfo(uv_default_loop(), &requests[1], on_answer, nullptr, service, nullptr) ==
          0);
    // libuv has its own copy of the question.
    node[0] = service[0] = 'x';
    finish(uv_default_loop());
    CHECK(answers == 2);
    return 0;
  });
}

std::string host_of(const char* address, int flags) {
  uv_getnameinfo_t request;
  sockaddr_in ipv4;
  sockaddr_in6 ipv6;
  const bool is_ipv4 = uv_ip4_addr(address, 80, &ipv4) == 0;
  if (!is_ipv4) uv_ip6_addr(address, 81, &ipv6);
  const auto* const from =
      is_ipv4 ? reinterpret_cast<const sockaddr*>(&ipv4) : reinterpret_cast<const sockaddr*>(&ipv6);
  const int error = uv_getnameinfo(uv_default_loop(), &request, nullptr, from, flags);
  if (error != 0) return uv_err_name(error);
  return std::string(request.host) + " " + request.service;
}

void addresses_are_given_names() {
  simulate([] {
    CHECK(host_of("127.0.0.1", 0) == "localhost http");
    CHECK(host_of("127.0.0.1", NI_NUMERICHOST | NI_NUMERICSERV) == "127.0.0.1 80");
    CHECK(host_of("::1", 0) == "localhost 81");
    CHECK(host_of("1.2.3.4", 0) == "1.2.3.4 http");
    CHECK(host_of("1.2.3.4", NI_NAMEREQD) == "EAI_NONAME");
    uv_getnameinfo_t request;
    sockaddr unknown{};
    CHECK(uv_getnameinfo(uv_default_loop(), &request, nullptr, &unknown, 0) == UV_EINVAL);
    CHECK(uv_getnameinfo(uv_default_loop(), &request, nullptr, nullptr, 0) == UV_EINVAL);
    CHECK(uv_getnameinfo(uv_default_loop(), nullptr, nullptr, &unknown, 0) == UV_EINVAL);
    sockaddr_in6 ipv6;
    uv_ip6_addr("::1", 7, &ipv6);
    static bool named;
    named = false;
    uv_getnameinfo(
        uv_default_loop(), &request,
        [](uv_getnameinfo_t*, int status, const char* host, const char* service) {
          named = status == 0 && std::string(host) == "localhost" && std::string(service) == "echo";
        },
        reinterpret_cast<sockaddr*>(&ipv6), 0);
    finish(uv_default_loop());
    CHECK(named);
    return 0;
  });
}

void random_bytes_are_the_same_in_every_run() {
  static char first[16];
  static char second[16];
  static char* into;
  const auto program = [] {
    CHECK(uv_random(nullptr, nullptr, into, 16, 0, nullptr) == 0);
    char more[16];
    uv_random(nullptr, nullptr, more, 16, 0, nullptr);
    CHECK(std::memcmp(into, more, 16) != 0);
    CHECK(uv_random(nullptr, nullptr, more, 16, 1, nullptr) == UV_EINVAL);
    CHECK(uv_random(nullptr, nullptr, more, size_t{1} << 31, 0, nullptr) == UV_E2BIG);
    uv_random_t request;
    static bool filled;
    filled = false;
    uv_random(uv_default_loop(), &request, more, 16, 0,
              [](uv_random_t*, int status, void* buffer, size_t size) {
                filled = status == 0 && buffer != nullptr && size == 16;
              });
    finish(uv_default_loop());
    CHECK(filled);
    return 0;
  };
  into = first;
  simulate(program);
  into = second;
  simulate(program);
  CHECK(std::memcmp(first, second, 16) == 0);
}

// ---- The program's own allocator
// -------------------------------------------------------------------

int allocations = 0;
bool no_memory = false;
int most = 1000;  // so many at a time

void* count_malloc(size_t size) {
  if (no_memory || allocations == most) return nullptr;
  ++allocations;
  return std::malloc(size);
}
void* count_realloc(void* memory, size_t size) { return std::realloc(memory, size); }
void* count_calloc(size_t count, size_t size) { return std::calloc(count, size); }
void count_free(void* memory) {
  --allocations;
  std::free(memory);
}

void the_programs_allocator_is_used() {
  simulate([] {
    CHECK(uv_replace_allocator(nullptr, count_realloc, count_calloc, count_free) == UV_EINVAL);
    CHECK(uv_replace_allocator(count_malloc, nullptr, count_calloc, count_free) == UV_EINVAL);
    CHECK(uv_replace_allocator(count_malloc, count_realloc, nullptr, count_free) == UV_EINVAL);
    CHECK(uv_replace_allocator(count_malloc, count_realloc, count_calloc, nullptr) == UV_EINVAL);
    CHECK(uv_replace_allocator(count_malloc, count_realloc, count_calloc, count_free) == 0);
    uv_interface_address_t* interfaces = nullptr;
    int count = 0;
    CHECK(uv_interface_addresses(&interfaces, &count) == 0);
    CHECK(allocations == 1 && count == 2);
    CHECK(interfaces[0].is_internal == 1 && std::string(interfaces[1].name) == "lo");
    CHECK(interfaces[1].address.address6.sin6_family == AF_INET6);
    uv_free_interface_addresses(interfaces, count);
    CHECK(allocations == 0);
    no_memory = true;
    uv_cpu_info_t* processors = nullptr;
    uv_env_item_t* items = nullptr;
    CHECK(uv_interface_addresses(&interfaces, &count) == UV_ENOMEM && interfaces == nullptr);
    CHECK(uv_cpu_info(&processors, &count) == UV_ENOMEM);
    uv_fs_t request;
    CHECK(uv_fs_unlink(nullptr, &request, "/x", [](uv_fs_t*) {}) == UV_ENOMEM);
    CHECK(uv_os_environ(&items, &count) == UV_ENOMEM);
    CHECK(answer("localhost", nullptr, AF_UNSPEC, 0) == "EAI_MEMORY");
    no_memory = false;
    // The name of the answer does not fit any more.
    most = 1;
    CHECK(answer("localhost", nullptr, AF_INET, SOCK_STREAM, AI_CANONNAME) == "EAI_MEMORY");
    CHECK(allocations == 0);
    most = 1000;
    return finish(uv_default_loop());
  });
  // Gone with the run.
  simulate([] {
    uv_interface_address_t* interfaces = nullptr;
    int count = 0;
    uv_interface_addresses(&interfaces, &count);
    CHECK(allocations == 0);
    uv_free_interface_addresses(interfaces, count);
    return 0;
  });
}

// ---- Memory that cannot be had
// ---------------------------------------------------------------------

// Each allocation of the canonical name fails in turn, and nothing is lost.
void allocations_of_the_program_fail_where_choices_say_so() {
  uvsim::Options options;
  options.fail_allocations = true;
  uvsim::Simulation simulation(options);
  int refused = 0;
  for (uint64_t nth = 0; nth < 4; ++nth) {
    uvsim::OneFault fault(nth, 1);
    const Report& report = simulation.run(fault, [] {
      uv_getaddrinfo_t request;
      addrinfo hints{};
      hints.ai_family = AF_INET;
      hints.ai_socktype = SOCK_STREAM;
      hints.ai_flags = AI_CANONNAME;
      const int error = uv_getaddrinfo(nullptr, &request, nullptr, "localhost", nullptr, &hints);
      if (error != 0) return error;
      uv_freeaddrinfo(request.addrinfo);
      return 0;
    });
    CHECK(report.ok());
    refused += report.result == UV_EAI_MEMORY;
  }
  CHECK(refused == 2);
}

// ---- Threads
// ---------------------------------------------------------------------------------------

void a_thread_runs_when_it_is_created() {
  simulate([] {
    uv_thread_t first;
    uv_thread_t second;
    uv_thread_options_t options{};
    static uv_thread_t seen;
    static uv_key_t key;
    uv_thread_t self = uv_thread_self();
    CHECK(uv_key_create(&key) == 0);
    CHECK(uv_key_get(&key) == nullptr);
    uv_key_set(&key, &self);
    const auto entry = [](void* argument) {
      CHECK(uv_key_get(&key) == nullptr);
      uv_key_set(&key, argument);
      CHECK(uv_key_get(&key) == argument);
      seen = uv_thread_self();
    };
    CHECK(uv_thread_create(&first, entry, &first) == 0);
    CHECK(uv_thread_equal(&seen, &first) == 1);
    CHECK(uv_thread_equal(&self, &first) == 0);
    CHECK(uv_thread_create_ex(&second, &options, entry, &second) == 0);
    CHECK(uv_thread_equal(&first, &second) == 0);
    CHECK(uv_thread_join(&first) == 0 && uv_thread_join(&second) == 0);
    uv_thread_t unknown = 12345;
    CHECK(uv_thread_join(&unknown) == UV_ESRCH);
    unknown = 0;
    CHECK(uv_thread_join(&unknown) == UV_ESRCH);
    CHECK(uv_key_get(&key) == &self);
    uv_key_delete(&key);
    CHECK(uv_key_get(&key) == nullptr);
    return 0;
  });
  CHECK(is_stopped("a thread joins itself", [] {
    uv_thread_t self = uv_thread_self();
    return uv_thread_join(&self);
  }));
}

void keys_run_out() {
  simulate([] {
    uv_key_t key;
    int taken = 0;
    while (uv_key_create(&key) == 0) ++taken;
    CHECK(taken == 1024);
    return 0;
  });
  // They come back with the next run.
  simulate([] {
    uv_key_t key;
    CHECK(uv_key_create(&key) == 0);
    return 0;
  });
  CHECK(is_stopped("uv_key_set failed", [] {
    uv_key_t key = 5;
    uv_key_set(&key, nullptr);
    return 0;
  }));
  CHECK(is_stopped("uv_key_set failed", [] {
    uv_key_t key = 5000;
    uv_key_set(&key, nullptr);
    return 0;
  }));
  CHECK(is_stopped("uv_key_delete failed", [] {
    uv_key_t key = 5;
    uv_key_delete(&key);
    return 0;
  }));
  CHECK(is_stopped("uv_sem_post failed", [] {
    uv_sem_t semaphore;
    uv_sem_init(&semaphore, SEM_VALUE_MAX);
    uv_sem_post(&semaphore);
    return 0;
  }));
  CHECK(is_stopped("uv_key_delete failed", [] {
    uv_key_t key = 5000;
    CHECK(uv_key_get(&key) == nullptr);
    uv_key_delete(&key);
    return 0;
  }));
}

void locks_lock() {
  simulate([] {
    uv_mutex_t mutex;
    CHECK(uv_mutex_init(&mutex) == 0);
    uv_mutex_lock(&mutex);
    CHECK(uv_mutex_trylock(&mutex) == UV_EBUSY);
    uv_mutex_unlock(&mutex);
    CHECK(uv_mutex_trylock(&mutex) == 0);
    uv_mutex_unlock(&mutex);
    uv_mutex_destroy(&mutex);
    CHECK(uv_mutex_init_recursive(&mutex) == 0);
    uv_mutex_lock(&mutex);
    uv_mutex_lock(&mutex);
    uv_mutex_unlock(&mutex);
    uv_mutex_unlock(&mutex);
    uv_mutex_destroy(&mutex);
    uv_rwlock_t lock;
    CHECK(uv_rwlock_init(&lock) == 0);
    uv_rwlock_rdlock(&lock);
    CHECK(uv_rwlock_tryrdlock(&lock) == 0);
    CHECK(uv_rwlock_trywrlock(&lock) == UV_EBUSY);
    uv_rwlock_rdunlock(&lock);
    uv_rwlock_rdunlock(&lock);
    uv_rwlock_wrlock(&lock);
    CHECK(uv_rwlock_tryrdlock(&lock) == UV_EBUSY);
    uv_rwlock_wrunlock(&lock);
    uv_rwlock_destroy(&lock);
    uv_sem_t semaphore;
    CHECK(uv_sem_init(&semaphore, 1) == 0);
    uv_sem_wait(&semaphore);
    CHECK(uv_sem_trywait(&semaphore) == UV_EAGAIN);
    uv_sem_post(&semaphore);
    CHECK(uv_sem_trywait(&semaphore) == 0);
    uv_sem_destroy(&semaphore);
    CHECK(uv_sem_init(&semaphore, ~0u) == UV_EINVAL);
    uv_barrier_t barrier;
    CHECK(uv_barrier_init(&barrier, 0) == UV_EINVAL);
    CHECK(uv_barrier_init(nullptr, 1) == UV_EINVAL);
    CHECK(uv_barrier_init(&barrier, 1) == 0);
    CHECK(uv_barrier_wait(&barrier) == 1);
    uv_barrier_destroy(&barrier);
    uv_once_t once = UV_ONCE_INIT;
    static int calls;
    calls = 0;
    uv_once(&once, [] { ++calls; });
    uv_once(&once, [] { ++calls; });
    CHECK(calls == 1);
    return 0;
  });
}

void a_timed_wait_takes_its_time() {
  simulate([] {
    uv_mutex_t mutex;
    uv_cond_t condition;
    uv_mutex_init(&mutex);
    CHECK(uv_cond_init(&condition) == 0);
    uv_mutex_lock(&mutex);
    const uint64_t before = uv_hrtime();
    CHECK(uv_cond_timedwait(&condition, &mutex, 5'000'000'000) == UV_ETIMEDOUT);
    CHECK(uv_hrtime() - before >= 5'000'000'000);
    uv_cond_signal(&condition);
    uv_cond_broadcast(&condition);
    uv_mutex_unlock(&mutex);
    uv_cond_destroy(&condition);
    uv_mutex_destroy(&mutex);
    return 0;
  });
}

void who_would_wait_for_ever_is_told() {
  CHECK(is_stopped("uv_mutex_lock would wait for ever", [] {
    uv_mutex_t mutex;
    uv_mutex_init(&mutex);
    uv_mutex_lock(&mutex);
    uv_mutex_lock(&mutex);
    return 0;
  }));
  CHECK(is_stopped("uv_rwlock_rdlock would wait for ever", [] {
    uv_rwlock_t lock;
    uv_rwlock_init(&lock);
    uv_rwlock_wrlock(&lock);
    uv_rwlock_rdlock(&lock);
    return 0;
  }));
  CHECK(is_stopped("uv_rwlock_wrlock would wait for ever", [] {
    uv_rwlock_t lock;
    uv_rwlock_init(&lock);
    uv_rwlock_rdlock(&lock);
    uv_rwlock_wrlock(&lock);
    return 0;
  }));
  CHECK(is_stopped("uv_sem_wait would wait for ever", [] {
    uv_sem_t semaphore;
    uv_sem_init(&semaphore, 0);
    uv_sem_wait(&semaphore);
    return 0;
  }));
  CHECK(is_stopped("uv_cond_wait would wait for ever", [] {
    uv_mutex_t mutex;
    uv_cond_t condition;
    uv_mutex_init(&mutex);
    uv_cond_init(&condition);
    uv_mutex_lock(&mutex);
    uv_cond_wait(&condition, &mutex);
    return 0;
  }));
  CHECK(is_stopped("uv_barrier_wait would wait for ever", [] {
    uv_barrier_t barrier;
    uv_barrier_init(&barrier, 2);
    return uv_barrier_wait(&barrier);
  }));
  CHECK(is_stopped("uv_mutex_unlock failed", [] {
    uv_mutex_t mutex;
    uv_mutex_init(&mutex);
    uv_mutex_unlock(&mutex);
    return 0;
  }));
}

// ---- The process and the machine
// -------------------------------------------------------------------

// A getter of a text: refuses nonsense, says how much it needs, and gives it.
template <class Function>
std::string text_of(Function get) {
  char buffer[4096];
  size_t size = 0;
  CHECK(get(nullptr, &size) == UV_EINVAL);
  CHECK(get(buffer, nullptr) == UV_EINVAL);
  CHECK(get(buffer, &size) == UV_EINVAL);
  size = sizeof buffer;
  CHECK(get(buffer, &size) == 0);
  CHECK(size == std::strlen(buffer));
  return buffer;
}

// The same, for those that refuse what is too small.
template <class Function>
std::string measured_text_of(Function get) {
  const std::string text = text_of(get);
  char buffer[4096];
  size_t size = 1;
  CHECK(get(buffer, &size) == (text.empty() ? 0 : UV_ENOBUFS));
  CHECK(size == text.size() + 1);
  CHECK(get(buffer, &size) == 0);
  return text;
}

void the_process_is_real() {
  simulate([] {
    CHECK(uv_os_getpid() == getpid() && uv_os_getppid() == getppid());
    const std::string executable = text_of(uv_exepath);
    CHECK(executable.find("periphery_check") != std::string::npos);
    char nothing = 'x';
    size_t size = 1;
    CHECK(uv_exepath(&nothing, &size) == 0 && size == 0 && nothing == '\0');
    const std::string directory = measured_text_of(uv_cwd);
    CHECK(directory[0] == '/');
    CHECK(uv_chdir("/") == 0 && measured_text_of(uv_cwd) == "/");
    CHECK(uv_chdir("/no/such/directory") == UV_ENOENT);
    CHECK(uv_chdir(directory.c_str()) == 0);
    CHECK(uv_get_osfhandle(5) == 5 && uv_open_osfhandle(6) == 6);
    CHECK(uv_tty_reset_mode() == 0);
    uv_disable_stdio_inheritance();
    return 0;
  });
}

void the_title_is_remembered() {
  simulate([] {
    char title[32];
    char name[] = "program";
    char* arguments[] = {name, nullptr};
    CHECK(uv_get_process_title(nullptr, 5) == UV_EINVAL);
    CHECK(uv_get_process_title(title, 0) == UV_EINVAL);
    CHECK(uv_get_process_title(title, sizeof title) == UV_ENOBUFS);
    CHECK(uv_set_process_title("other") == UV_ENOBUFS);
    CHECK(uv_setup_args(0, arguments) == arguments);
    CHECK(uv_setup_args(1, arguments) == arguments);
    CHECK(uv_get_process_title(title, sizeof title) == 0 && std::strcmp(title, "program") == 0);
    CHECK(uv_get_process_title(title, 7) == UV_ENOBUFS);
    CHECK(uv_set_process_title("other") == 0);
    CHECK(uv_get_process_title(title, sizeof title) == 0 && std::strcmp(title, "other") == 0);
    return 0;
  });
}

void the_environment_is_real() {
  simulate([] {
    CHECK(uv_os_setenv("UVSIM_CHECK", "a value") == 0);
    CHECK(measured_text_of([](char* buffer, size_t* size) {
            return uv_os_getenv("UVSIM_CHECK", buffer, size);
          }) == "a value");
    uv_env_item_t* items = nullptr;
    int count = 0;
    CHECK(uv_os_environ(&items, &count) == 0);
    bool found = false;
    for (int i = 0; i < count; ++i) {
      found = found || (std::strcmp(items[i].name, "UVSIM_CHECK") == 0 &&
                        std::strcmp(items[i].value, "a value") == 0);
    }
    CHECK(found);
    uv_os_free_environ(items, count);
    CHECK(uv_os_unsetenv("UVSIM_CHECK") == 0);
    char buffer[8];
    size_t size = sizeof buffer;
    CHECK(uv_os_getenv("UVSIM_CHECK", buffer, &size) == UV_ENOENT);
    CHECK(uv_os_getenv(nullptr, buffer, &size) == UV_EINVAL);
    CHECK(uv_os_setenv(nullptr, "") == UV_EINVAL && uv_os_setenv("X", nullptr) == UV_EINVAL);
    CHECK(uv_os_setenv("=", "") == UV_EINVAL && uv_os_unsetenv("=") == UV_EINVAL);
    CHECK(uv_os_unsetenv(nullptr) == UV_EINVAL);
    uv_os_setenv("HOME", "/home/of/somebody");
    CHECK(measured_text_of(uv_os_homedir) == "/home/of/somebody");
    uv_os_unsetenv("HOME");
    CHECK(measured_text_of(uv_os_homedir) == "/");
    uv_os_setenv("TMPDIR", "/some/where/");
    CHECK(measured_text_of(uv_os_tmpdir) == "/some/where");
    for (const char* name : {"TMPDIR", "TMP", "TEMP", "TEMPDIR"}) uv_os_unsetenv(name);
    CHECK(measured_text_of(uv_os_tmpdir) == "/tmp");
    uv_os_setenv("TMPDIR", "/");
    CHECK(measured_text_of(uv_os_tmpdir) == "/");
    uv_os_unsetenv("TMPDIR");
    return 0;
  });
}

void entries_of_the_environment_without_a_name_are_passed_over() {
  static char odd[] = "NOTHING";
  static char even[] = "A=b";
  static char* entries[] = {odd, even, nullptr};
  char** const before = environ;
  environ = entries;
  simulate([] {
    uv_env_item_t* items = nullptr;
    int count = 0;
    CHECK(uv_os_environ(&items, &count) == 0 && count == 1);
    uv_os_free_environ(items, count);
    return 0;
  });
  environ = before;
}

void a_directory_that_is_gone_has_no_name() {
  char name[] = "/tmp/uvsim_check_XXXXXX";
  CHECK(mkdtemp(name) != nullptr && chdir(name) == 0 && rmdir(name) == 0);
  char buffer[64];
  size_t size = sizeof buffer;
  CHECK(uv_cwd(buffer, &size) == UV_ENOENT);
  CHECK(chdir("/") == 0);
}

void the_version_is_that_of_the_header() {
  const std::string expected = std::to_string(UV_VERSION_MAJOR) + "." +
                               std::to_string(UV_VERSION_MINOR) + "." +
                               std::to_string(UV_VERSION_PATCH) + UV_VERSION_SUFFIX;
  CHECK(uv_version_string() == expected);
  CHECK(uv_version() == UV_VERSION_HEX);
}

void nothing_is_written_where_there_is_no_room() {
  char text[] = "as it was";
  CHECK(uv_strerror_r(UV_EOF, text, 0) == text && uv_err_name_r(UV_EOF, text, 0) == text);
  CHECK(std::strcmp(text, "as it was") == 0);
}

void the_machine_is_the_same_everywhere() {
  simulate([] {
    CHECK(measured_text_of(uv_os_gethostname) == "localhost");
    uv_utsname_t system;
    CHECK(uv_os_uname(&system) == 0 && system.sysname[0] != '\0');
    CHECK(uv_os_uname(nullptr) == UV_EINVAL);
    int priority = -5;
    CHECK(uv_os_getpriority(0, &priority) == 0 && priority == 0);
    CHECK(uv_os_getpriority(0, nullptr) == UV_EINVAL);
    CHECK(uv_os_setpriority(0, 5) == 0);
    CHECK(uv_os_getpriority(0, &priority) == 0 && priority == 5);
    CHECK(uv_os_setpriority(0, 20) == UV_EINVAL && uv_os_setpriority(0, -21) == UV_EINVAL);
    CHECK(uv_available_parallelism() == 1);
    uv_cpu_info_t* processors = nullptr;
    int count = 0;
    CHECK(uv_cpu_info(&processors, &count) == 0 && count == 1);
    CHECK(std::strcmp(processors[0].model, "simulated") == 0);
    uv_free_cpu_info(processors, count);
    CHECK(uv_get_free_memory() < uv_get_total_memory() && uv_get_constrained_memory() == 0);
#if UV_VERSION_HEX >= 0x012d00
    CHECK(uv_get_available_memory() == uv_get_free_memory());
#endif
    size_t resident = 0;
    CHECK(uv_resident_set_memory(&resident) == 0 && resident > 0);
    double uptime = 0;
    CHECK(uv_uptime(&uptime) == 0 && uptime > 0);
    double load[3] = {1, 1, 1};
    uv_loadavg(load);
    CHECK(load[0] + load[1] + load[2] < 0.5);
    uv_rusage_t usage;
    CHECK(uv_getrusage(&usage) == 0 && usage.ru_utime.tv_sec == 0);
    return 0;
  });
}

#define TEST(name) {#name, name}

}  // namespace

// Locks that are never released, or wrongly, are what some of the tests are about.
extern "C" const char* __tsan_default_options() { return "report_mutex_bugs=0:detect_deadlocks=0"; }

int main(int argc, char** argv) {
  constexpr Test tests[] = {
      TEST(work_is_done_and_reported_in_order),
      TEST(work_without_a_report_is_done_too),
      TEST(a_worker_may_wake_the_loop_and_run_its_own),
      TEST(a_thread_may_run_a_loop_that_was_prepared_for_it),
      TEST(waiting_work_can_be_cancelled),
      TEST(names_of_pipes_are_taken_away),
      TEST(files_are_not_taken_away),
      TEST(the_hook_is_told_when_a_thread_wakes_up),
      TEST(running_work_and_other_requests_cannot_be_cancelled),
      TEST(the_ledger_may_be_off),
      TEST(names_are_looked_up_in_a_world_of_one_machine),
      TEST(an_address_is_looked_up_later_with_a_callback),
      TEST(addresses_are_given_names),
      TEST(random_bytes_are_the_same_in_every_run),
      TEST(the_programs_allocator_is_used),
      TEST(allocations_of_the_program_fail_where_choices_say_so),
      TEST(a_thread_runs_when_it_is_created),
      TEST(keys_run_out),
      TEST(locks_lock),
      TEST(a_timed_wait_takes_its_time),
      TEST(who_would_wait_for_ever_is_told),
      TEST(the_process_is_real),
      TEST(the_title_is_remembered),
      TEST(the_environment_is_real),
      TEST(entries_of_the_environment_without_a_name_are_passed_over),
      TEST(a_directory_that_is_gone_has_no_name),
      TEST(the_machine_is_the_same_everywhere),
      TEST(the_version_is_that_of_the_header),
      TEST(nothing_is_written_where_there_is_no_room),
  };
  return run_tests(tests, argc, argv);
}
