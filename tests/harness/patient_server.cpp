#include "patient_server.hpp"

#include <uv.h>

#include <array>
#include <csignal>
#include <cstdint>

namespace patient {
namespace {

// What is said of it: it does not cut before these, and has by the others.
constexpr std::uint64_t limit_ms = 1000;
constexpr std::uint64_t write_at_most_ms = 2500;
constexpr std::uint64_t idle_at_most_ms = 3500;
// What it does: it looks so often, and is more patient than it says, for a client may take what the
// kernel holds without its noticing.
constexpr std::uint64_t look_ms = 125;
constexpr std::uint64_t look_at_times_ms = 900;
constexpr std::uint64_t write_ms = 2200;
constexpr std::uint64_t idle_ms = 3000;

Defect wanted = Defect::none;
bool hears_signals = true;
bool told = false;

struct Server;

struct Client {
  uv_tcp_t tcp;
  uv_timer_t timer;
  uv_write_t write;
  uv_shutdown_t shutdown;
  Server* server;
  std::array<char, 256> bytes;
  std::size_t queued;         // by libuv, when it was last looked at
  std::uint64_t read_at_ms;   // the client last said something
  std::uint64_t taken_at_ms;  // it took something, or was owed nothing, when it was last looked at
  unsigned open_handles;
  bool writing;
  bool ended;  // EOF came
  bool used;
};

struct Server {
  uv_loop_t loop;
  uv_tcp_t listener;
  uv_signal_t signal;
  uv_timer_t ear;
  std::array<Client, 16> clients;
};

uv_stream_t* stream_of(Client& client) { return reinterpret_cast<uv_stream_t*>(&client.tcp); }
Client& client_of(const void* handle) {
  return *static_cast<Client*>(static_cast<const uv_handle_t*>(handle)->data);
}

void on_read(uv_stream_t* stream, ssize_t size, const uv_buf_t*);

void on_alloc(uv_handle_t* tcp, size_t, uv_buf_t* buffer) {
  Client& client = client_of(tcp);
  *buffer = uv_buf_init(client.bytes.data(), static_cast<unsigned>(client.bytes.size()));
}

bool may_read(const Client& client) {
  if (client.writing || client.ended) return false;
  if (wanted != Defect::one_at_a_time) return true;
  for (const Client& other : client.server->clients) {
    if (other.used && other.writing) return false;
  }
  return true;
}

void read_on(Server& server) {
  for (Client& client : server.clients) {
    auto* const tcp = reinterpret_cast<uv_handle_t*>(&client.tcp);
    if (!client.used || uv_is_closing(tcp) != 0) continue;
    if (may_read(client)) {
      uv_read_start(stream_of(client), on_alloc, on_read);
    } else {
      uv_read_stop(stream_of(client));
    }
  }
}

void on_close(uv_handle_t* handle) {
  Client& client = client_of(handle);
  if (--client.open_handles == 0) client.used = false;
  read_on(*client.server);
}

void close(Client& client, bool cut) {
  auto* const tcp = reinterpret_cast<uv_handle_t*>(&client.tcp);
  if (uv_is_closing(tcp) != 0) return;
  const bool reset = cut && wanted != Defect::ends_quietly;
  if (!reset || uv_tcp_close_reset(&client.tcp, on_close) != 0) uv_close(tcp, on_close);
  uv_close(reinterpret_cast<uv_handle_t*>(&client.timer), on_close);
}

void on_timer(uv_timer_t* timer) {
  Client& client = client_of(timer);
  if (wanted == Defect::reads_at_times) read_on(*client.server);
  const std::uint64_t now = uv_now(timer->loop);
  const std::size_t queued = uv_stream_get_write_queue_size(stream_of(client));
  if (queued == 0 || (queued < client.queued && wanted != Defect::cuts_slow_readers)) {
    client.taken_at_ms = now;
    if (queued > 0 && wanted != Defect::calls_readers_silent) client.read_at_ms = now;
  }
  client.queued = queued;
  const std::uint64_t limit = wanted == Defect::cuts_slow_readers     ? limit_ms
                              : wanted == Defect::keeps_never_readers ? ~std::uint64_t{0}
                                                                      : write_ms;
  if (queued > 0 && now - client.taken_at_ms >= limit) return close(client, true);
  const bool idle = now - client.read_at_ms >= idle_ms;
  if (queued == 0 && idle && wanted != Defect::keeps_the_silent) close(client, true);
}

void on_shutdown(uv_shutdown_t* request, int) {
  Client& client = client_of(request->handle);
  if (wanted == Defect::keeps_who_ended) {
    uv_timer_stop(&client.timer);
  } else {
    close(client, false);
  }
}

void on_write(uv_write_t* request, int status) {
  Client& client = client_of(request->handle);
  client.writing = false;
  client.taken_at_ms = client.read_at_ms = uv_now(request->handle->loop);
  if (status != 0) close(client, true);
  if (wanted != Defect::reads_at_times) read_on(*client.server);
}

void on_read(uv_stream_t* stream, ssize_t size, const uv_buf_t*) {
  Client& client = client_of(stream);
  if (size == 0) return;
  client.read_at_ms = uv_now(stream->loop);
  if (size > 0) {
    uv_buf_t buffer = uv_buf_init(client.bytes.data(), static_cast<unsigned>(size));
    client.writing = true;
    client.taken_at_ms = client.read_at_ms;
    if (uv_write(&client.write, stream, &buffer, 1, on_write) != 0) close(client, true);
    client.queued = uv_stream_get_write_queue_size(stream);
    return read_on(*client.server);
  }
  client.ended = true;
  if (size != UV_EOF || uv_shutdown(&client.shutdown, stream, on_shutdown) != 0) {
    close(client, true);
  }
}

void on_silence(uv_timer_t* timer) {
  Client& client = client_of(timer);
  const std::uint64_t since = uv_now(timer->loop) - client.read_at_ms;
  if (since >= limit_ms) return close(client, true);
  on_timer(timer);
}

void on_connection(uv_stream_t* listener, int status) {
  if (status != 0) return;
  Server& server = *static_cast<Server*>(listener->data);
  for (Client& client : server.clients) {
    if (client.used) continue;
    client = Client{};
    client.used = true;
    client.server = &server;
    client.open_handles = 2;
    client.read_at_ms = client.taken_at_ms = uv_now(&server.loop);
    uv_tcp_init(&server.loop, &client.tcp);
    uv_timer_init(&server.loop, &client.timer);
    client.tcp.data = client.timer.data = &client;
    const bool counts_words_only = wanted == Defect::calls_readers_silent;
    const std::uint64_t every_ms = wanted == Defect::reads_at_times ? look_at_times_ms : look_ms;
    uv_timer_start(&client.timer, counts_words_only ? on_silence : on_timer, every_ms, every_ms);
    if (uv_accept(listener, stream_of(client)) != 0) return close(client, true);
    return read_on(server);
  }
}

void stop(Server& server, uv_handle_t* heard_by) {
  for (Client& client : server.clients) {
    if (client.used) close(client, true);
  }
  uv_close(reinterpret_cast<uv_handle_t*>(&server.listener), nullptr);
  uv_close(heard_by, nullptr);
}

void on_signal(uv_signal_t* signal, int) {
  stop(*static_cast<Server*>(signal->data), reinterpret_cast<uv_handle_t*>(signal));
}

void on_ear(uv_timer_t* ear) {
  if (told) stop(*static_cast<Server*>(ear->data), reinterpret_cast<uv_handle_t*>(ear));
}

int serve() {
  std::signal(SIGPIPE, SIG_IGN);
  static Server server;
  server = Server{};
  uv_loop_init(&server.loop);
  uv_tcp_init(&server.loop, &server.listener);
  server.signal.data = server.ear.data = server.listener.data = &server;
  sockaddr_in address;
  uv_ip4_addr("127.0.0.1", 0, &address);
  uv_tcp_bind(&server.listener, reinterpret_cast<const sockaddr*>(&address), 0);
  uv_listen(reinterpret_cast<uv_stream_t*>(&server.listener), 16, on_connection);
  told = false;
  if (hears_signals) {
    uv_signal_init(&server.loop, &server.signal);
    uv_signal_start(&server.signal, on_signal, SIGTERM);
  } else {
    uv_timer_init(&server.loop, &server.ear);
    uv_timer_start(&server.ear, on_ear, look_ms, look_ms);
  }
  uv_run(&server.loop, UV_RUN_DEFAULT);
  return uv_loop_close(&server.loop) == 0 ? 0 : 1;
}

}  // namespace

harness::Subject echo_server(Defect defect) {
  wanted = defect;
  hears_signals = true;
  harness::Subject subject;
  subject.name = "patient";
  subject.start = serve;
  subject.idle_ms = subject.write_ms = limit_ms;
  subject.idle_at_most_ms = idle_at_most_ms;
  subject.write_at_most_ms = write_at_most_ms;
  subject.linger_bytes = 1;  // what the kernel may hold when the server has let go
  subject.notices_taking = true;
  subject.tells_of_cuts = true;
  subject.answers_at_once = true;
  subject.answer_ms = 0;
  return subject;
}

harness::Subject echo_server_that_reads_at_times() {
  harness::Subject subject = echo_server(Defect::reads_at_times);
  subject.idle_at_most_ms = subject.write_at_most_ms = subject.answer_ms =
      harness::Subject::unlimited;
  subject.notices_taking = subject.answers_at_once = false;
  return subject;
}

harness::Subject echo_server_that_is_told() {
  harness::Subject subject = echo_server(Defect::none);
  hears_signals = false;
  subject.tell = [](int) { told = true; };
  return subject;
}

}  // namespace patient
