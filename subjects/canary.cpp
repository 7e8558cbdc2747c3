#include "subjects/canary.hpp"

#include <uv.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <new>

#include "harness/plan.hpp"
#include "harness/trial.hpp"

namespace canary {
namespace {

Defect wanted = Defect::none;

constexpr std::size_t hoard_size = std::size_t{2} << 20;

struct Client {
  uv_tcp_t tcp;
  uv_shutdown_t shutdown;
  void* hoard;
};

struct Write {
  uv_write_t request;
  char* bytes;
};

struct Server {
  uv_loop_t loop;
  uv_tcp_t listener;
  uv_signal_t signal;
};

Client* client_of(void* stream) {
  return static_cast<Client*>(static_cast<uv_handle_t*>(stream)->data);
}

void on_close(uv_handle_t* tcp) {
  Client* const client = client_of(tcp);
  std::free(client->hoard);
  if (wanted != Defect::leak) std::free(client);
}

void close(Client* client) {
  auto* const tcp = reinterpret_cast<uv_handle_t*>(&client->tcp);
  if (uv_is_closing(tcp) == 0) uv_close(tcp, on_close);
}

void close_clients(uv_loop_t* loop) {
  uv_walk(
      loop,
      [](uv_handle_t* handle, void* listener) {
        const bool client = handle != listener && handle->type == UV_TCP;
        if (client && uv_is_closing(handle) == 0) uv_close(handle, on_close);
      },
      &static_cast<Server*>(loop->data)->listener);
}

void on_shutdown(uv_shutdown_t* request, int) { close(client_of(request->handle)); }

void on_write(uv_write_t* request, int status) {
  auto* const write = reinterpret_cast<Write*>(request);
  Client* const client = client_of(request->handle);
  std::free(write->bytes);
  if (wanted == Defect::double_free && status != 0) std::free(write->bytes);
  std::free(write);
  if (status != 0 || wanted == Defect::ends_early) close(client);
}

void on_alloc(uv_handle_t*, size_t, uv_buf_t* buffer) {
  constexpr unsigned size = 512;
  auto* const bytes = static_cast<char*>(std::malloc(size));
  *buffer = uv_buf_init(bytes, bytes == nullptr ? 0 : size);
}

void echo(Client* client, char* bytes, unsigned size) {
  auto* const write = static_cast<Write*>(std::malloc(sizeof(Write)));
  if (write == nullptr) {
    std::free(bytes);
    return close(client);
  }
  write->bytes = bytes;
  if (wanted == Defect::wrong_byte) bytes[0] = static_cast<char>(bytes[0] + 1);
  const unsigned kept = wanted == Defect::truncated_echo && size > 1 ? size - 1 : size;
  uv_buf_t buffer = uv_buf_init(bytes, kept);
  auto* const stream = reinterpret_cast<uv_stream_t*>(&client->tcp);
  if (uv_write(&write->request, stream, &buffer, 1, on_write) == 0) return;
  std::free(bytes);
  std::free(write);
  close(client);
}

void on_read(uv_stream_t* stream, ssize_t nread, const uv_buf_t* buffer) {
  Client* const client = client_of(stream);
  if (nread > 0) return echo(client, buffer->base, static_cast<unsigned>(nread));
  std::free(buffer->base);
  if (nread == 0 || (nread == UV_EOF && wanted == Defect::never_closes)) return;
  auto* const tcp = reinterpret_cast<uv_handle_t*>(stream);
  if (nread != UV_EOF && wanted == Defect::ends_others) return close_clients(stream->loop);
  if (wanted == Defect::closed_twice) uv_close(tcp, on_close);
  if (wanted == Defect::closed_twice) return uv_close(tcp, on_close);
  if (nread != UV_EOF || uv_shutdown(&client->shutdown, stream, on_shutdown) != 0) close(client);
}

void on_connection(uv_stream_t* listener, int status) {
  if (status != 0) return;
  auto* const client = static_cast<Client*>(std::malloc(sizeof(Client)));
  if (client == nullptr) std::abort();
  client->hoard = wanted == Defect::hoards ? std::malloc(hoard_size) : nullptr;
  if (uv_tcp_init(listener->loop, &client->tcp) != 0) {
    std::free(client->hoard);
    return std::free(client);
  }
  client->tcp.data = client;
  auto* const stream = reinterpret_cast<uv_stream_t*>(&client->tcp);
  if (uv_accept(listener, stream) != 0 || uv_read_start(stream, on_alloc, on_read) != 0) {
    close(client);
  }
}

void on_signal(uv_signal_t* signal, int) {
  auto* const listener =
      reinterpret_cast<uv_handle_t*>(&static_cast<Server*>(signal->data)->listener);
  close_clients(signal->loop);
  if (uv_is_closing(listener) != 0) return;
  uv_close(listener, nullptr);
  uv_close(reinterpret_cast<uv_handle_t*>(signal), nullptr);
}

int serve() {
  std::signal(SIGPIPE, SIG_IGN);
  Server server;
  if (uv_loop_init(&server.loop) != 0) return 1;
  server.loop.data = &server;
  int status = uv_signal_init(&server.loop, &server.signal);
  server.signal.data = &server;
  if (status == 0) status = uv_tcp_init(&server.loop, &server.listener);
  if (status != 0) return 1;
  sockaddr_in address;
  status = uv_ip4_addr("127.0.0.1", 0, &address);
  const auto* const any = reinterpret_cast<const sockaddr*>(&address);
  if (status == 0) status = uv_tcp_bind(&server.listener, any, 0);
  auto* const stream = reinterpret_cast<uv_stream_t*>(&server.listener);
  if (status == 0) status = uv_listen(stream, 16, on_connection);
  if (status == 0) status = uv_signal_start(&server.signal, on_signal, SIGTERM);
  if (status != 0) on_signal(&server.signal, SIGTERM);
  static bool odd = false;
  odd = !odd;
  if (wanted == Defect::moody && odd) {
    uv_unref(reinterpret_cast<uv_handle_t*>(&server.listener));
    uv_ref(reinterpret_cast<uv_handle_t*>(&server.listener));
  }
  uv_run(&server.loop, UV_RUN_DEFAULT);
  if (uv_loop_close(&server.loop) != 0 || wanted == Defect::bad_exit) return 1;
  return status == 0 ? 0 : 1;
}

}  // namespace

harness::Subject echo_server(Defect defect) {
  wanted = defect;
  harness::Subject subject;
  subject.name = "canary";
  subject.start = serve;
  subject.live_bytes_max = hoard_size / 2;
  return subject;
}

int run(Defect defect, const unsigned char* data, unsigned long size) {
  static harness::Trial trial;
  trial.options().asked = harness::Trial::usual_faults();
  const harness::Setting setting{.vary = harness::Setting::Vary::nothing()};
  harness::Plan plan(data, size, trial.options().asked);
  if (!trial.run(echo_server(defect), setting, plan).ok()) {
    std::fprintf(stderr, "%s%s", trial.trace_text().c_str(), trial.summary().c_str());
    std::abort();
  }
  return 0;
}

}  // namespace canary
