// The life of an echo server on libuv's own code and the simulated kernel: a loop, a listener, a
// connection that the world makes, two echoes, the end of everything.
//
//   floor2_life [LIVES]   prints microseconds a life
//   floor2_life thread    asks for what this floor does not know
#include <uv.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "syscalls/syscalls.hpp"

namespace {

#define NEEDED(condition)                                                  \
  do {                                                                     \
    if (!(condition)) {                                                    \
      std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                        \
    }                                                                      \
  } while (0)

sockaddr_in address_of(uint16_t port) {
  sockaddr_in address{};
  NEEDED(uv_ip4_addr("127.0.0.1", port, &address) == 0);
  return address;
}

constexpr uint16_t port = 7000;

// ---- The client, which the world plays ---------------------------------------------------------

class Client final : public syscalls::World {
 public:
  explicit Client(kernel::Machine& machine) : process_(machine) {}

  bool act(const syscalls::Pause&) override {
    char bytes[16];
    switch (step_++) {
      case 0: {
        const sockaddr_in address = address_of(port);
        socket_ = static_cast<int>(process_.socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
        process_.connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address);
        return true;
      }
      case 1: return process_.write(socket_, "hello", 5) == 5;
      case 2:
        echoes_ += process_.read(socket_, bytes, sizeof bytes) == 5 ? 1 : 0;
        return process_.write(socket_, "again", 5) == 5;
      case 3:
        echoes_ += process_.read(socket_, bytes, sizeof bytes) == 5 ? 1 : 0;
        return process_.close(socket_) == 0;
      default: return false;
    }
  }
  int echoes() const { return echoes_; }

 private:
  kernel::Process process_;
  int socket_ = -1;
  int step_ = 0;
  int echoes_ = 0;
};

// ---- The server, an ordinary libuv program -----------------------------------------------------

struct Connection {
  uv_tcp_t handle;
  uv_write_t request;
  char bytes[64];
};

void on_closed(uv_handle_t* handle) { std::free(handle); }

void on_alloc(uv_handle_t* handle, size_t, uv_buf_t* buffer) {
  auto* const connection = reinterpret_cast<Connection*>(handle);
  *buffer = uv_buf_init(connection->bytes, sizeof connection->bytes);
}

void on_read(uv_stream_t* stream, ssize_t size, const uv_buf_t* buffer) {
  auto* const connection = reinterpret_cast<Connection*>(stream);
  if (size < 0) {
    auto* const listener = static_cast<uv_handle_t*>(stream->data);
    uv_close(reinterpret_cast<uv_handle_t*>(stream), on_closed);
    uv_close(listener, nullptr);
    return;
  }
  const uv_buf_t echo = uv_buf_init(buffer->base, static_cast<unsigned>(size));
  NEEDED(uv_write(&connection->request, stream, &echo, 1, nullptr) == 0);
}

void on_connection(uv_stream_t* listener, int status) {
  NEEDED(status == 0);
  auto* const connection = static_cast<Connection*>(std::calloc(1, sizeof(Connection)));
  auto* const stream = reinterpret_cast<uv_stream_t*>(&connection->handle);
  NEEDED(uv_tcp_init(listener->loop, &connection->handle) == 0);
  connection->handle.data = listener;
  NEEDED(uv_accept(listener, stream) == 0);
  NEEDED(uv_read_start(stream, on_alloc, on_read) == 0);
}

void serve() {
  uv_loop_t loop;
  uv_tcp_t listener;
  const sockaddr_in address = address_of(port);
  NEEDED(uv_loop_init(&loop) == 0);
  NEEDED(uv_tcp_init(&loop, &listener) == 0);
  NEEDED(uv_tcp_bind(&listener, reinterpret_cast<const sockaddr*>(&address), 0) == 0);
  NEEDED(uv_listen(reinterpret_cast<uv_stream_t*>(&listener), 8, on_connection) == 0);
  NEEDED(uv_run(&loop, UV_RUN_DEFAULT) == 0);
  NEEDED(uv_loop_close(&loop) == 0);
}

void live() {
  kernel::Machine machine;
  kernel::Process process(machine, syscalls::first_descriptor);
  Client client(machine);
  syscalls::use(&process, &machine, &client);
  serve();
  syscalls::use(nullptr, nullptr, nullptr);
  NEEDED(client.echoes() == 2);
  NEEDED(process.open_descriptors() == 0);
}

// What libuv makes once and keeps, a pipe, is made on the real kernel: it is there in every life.
void make_what_stays() {
  uv_loop_t loop;
  NEEDED(uv_loop_init(&loop) == 0);
  NEEDED(uv_loop_close(&loop) == 0);
}

void ask_for_a_thread() {
  kernel::Machine machine;
  kernel::Process process(machine, syscalls::first_descriptor);
  syscalls::use(&process, &machine, nullptr);
  uv_loop_t loop;
  uv_work_t work;
  NEEDED(uv_loop_init(&loop) == 0);
  uv_queue_work(&loop, &work, [](uv_work_t*) {}, nullptr);
}

}  // namespace

int main(int argc, char** argv) {
  make_what_stays();
  if (argc > 1 && std::strcmp(argv[1], "thread") == 0) ask_for_a_thread();
  const int lives = argc > 1 ? std::atoi(argv[1]) : 1000;
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < lives; ++i) live();
  const std::chrono::duration<double, std::micro> taken = std::chrono::steady_clock::now() - begin;
  std::printf("%d lives, two echoes each, %.1f us a life\n", lives, taken.count() / lives);
  return 0;
}
