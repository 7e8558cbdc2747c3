#include "stranger.hpp"

#include <uv.h>

#include <cctype>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <string>
#include <vector>

namespace stranger {
namespace {

Shape shape = Shape::plain;
Defect defect = Defect::none;

constexpr std::uint16_t port = 7000;
constexpr std::uint16_t admin_port = 7001;
constexpr std::uint16_t upstream_port = 9000;
constexpr std::uint64_t tick_ms = 20;
constexpr std::uint64_t idle_ms = 2000;

// A stream and what is written to it. The relay's clients have two, and each is the other's
// `other`.
struct Side {
  uv_tcp_t tcp;
  uv_connect_t connect;
  uv_shutdown_t shutdown;
  Side* other;
  Side* next_spare;
  std::uint64_t active_ms;
  std::size_t queued;
  bool ended;  // its input
  bool shut;   // its output
  bool deaf;   // the defect: reads no more
};

struct Write {
  uv_write_t request;
  Side* to;
  std::size_t size;
};

uv_loop_t loop;
uv_tcp_t listener;
uv_tcp_t admin;
uv_signal_t ear;
uv_timer_t timer;
Side* spare;
std::vector<char>* table;
std::deque<std::string>* cache;
std::vector<void*>* nodes;

uv_handle_t* handle(void* h) { return static_cast<uv_handle_t*>(h); }
uv_stream_t* stream(Side* side) { return reinterpret_cast<uv_stream_t*>(&side->tcp); }
Side* side_of(const void* h) {
  return static_cast<Side*>(static_cast<const uv_handle_t*>(h)->data);
}

void on_closed(uv_handle_t* h) {
  Side* const side = side_of(h);
  if (side->other != nullptr) side->other->other = nullptr;
  if (shape != Shape::free_list) return std::free(side);
  side->next_spare = spare;
  spare = side;
}

void close(Side* side) {
  if (side == nullptr || uv_is_closing(handle(&side->tcp)) != 0) return;
  uv_close(handle(&side->tcp), on_closed);
  if (defect != Defect::keeps_a_handle) close(side->other);
}

void close_all() {
  uv_walk(
      &loop,
      [](uv_handle_t* h, void*) {
        if (h->type == UV_TCP && h->data != nullptr) close(side_of(h));
      },
      nullptr);
}

Side* make_side() {
  Side* side = spare;
  if (side != nullptr) spare = side->next_spare;
  if (side == nullptr) side = static_cast<Side*>(std::malloc(sizeof(Side)));
  if (side == nullptr) std::abort();
  *side = Side{};
  uv_tcp_init(&loop, &side->tcp);
  side->tcp.data = side;
  side->active_ms = uv_now(&loop);
  return side;
}

void on_shut(uv_shutdown_t* request, int) {
  Side* const side = side_of(request->handle);
  side->shut = true;
  if (side->ended || shape != Shape::relay) close(side);
}

void end_output(Side* side) {
  if (uv_is_closing(handle(&side->tcp)) != 0) return;
  if (uv_shutdown(&side->shutdown, stream(side), on_shut) != 0) close(side);
}

void on_alloc(uv_handle_t*, std::size_t, uv_buf_t* buffer) {
  constexpr unsigned size = 2048;
  auto* const bytes = static_cast<char*>(std::malloc(size));
  *buffer = uv_buf_init(bytes, bytes == nullptr ? 0 : size);
}

void on_read(uv_stream_t* from, ssize_t size, const uv_buf_t* buffer);

void on_written(uv_write_t* request, int status) {
  auto* const write = reinterpret_cast<Write*>(request);
  Side* const to = write->to;
  to->queued -= write->size;
  std::free(write);
  to->active_ms = uv_now(&loop);
  if (uv_is_closing(handle(&to->tcp)) != 0) return;
  if (status != 0) return close(to);
  Side* const from = to->other != nullptr ? to->other : to;
  if (to->queued == 0 && !from->ended && !from->deaf && uv_is_closing(handle(&from->tcp)) == 0) {
    uv_read_start(stream(from), on_alloc, on_read);
  }
}

void change(char* bytes, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) {
    if (defect == Defect::whispers && size > 8 && i + 2 == size) continue;
    bytes[i] = static_cast<char>(std::toupper(static_cast<unsigned char>(bytes[i])));
  }
}

void write(Side* to, const char* bytes, std::size_t size) {
  auto* const write = static_cast<Write*>(std::malloc(sizeof(Write) + size));
  if (write == nullptr) return close(to);
  write->to = to;
  write->size = size;
  auto* const copy = reinterpret_cast<char*>(write + 1);
  std::memcpy(copy, bytes, size);
  if (shape == Shape::shouts) change(copy, size);
  uv_buf_t buffer = uv_buf_init(copy, static_cast<unsigned>(size));
  to->queued += size;
  if (uv_write(&write->request, stream(to), &buffer, 1, on_written) == 0) return;
  to->queued -= size;
  std::free(write);
  close(to);
}

void on_data(Side* from, const char* bytes, std::size_t size) {
  Side* const to = from->other != nullptr ? from->other : from;
  const bool drops = defect == Defect::drops_a_byte && size > 1 && from->connect.handle != nullptr;
  write(to, bytes, drops ? size - 1 : size);
  // Not more before this is out.
  if (to->queued > 0 && uv_is_closing(handle(&from->tcp)) == 0) uv_read_stop(stream(from));
  constexpr std::size_t large = 1000;
  if (defect == Defect::stops_reading && to->queued > large) from->deaf = true;
}

void on_read(uv_stream_t* s, ssize_t size, const uv_buf_t* buffer) {
  Side* const from = side_of(s);
  from->active_ms = uv_now(&loop);
  if (size > 0) on_data(from, buffer->base, static_cast<std::size_t>(size));
  std::free(buffer->base);
  if (size >= 0) return;
  from->ended = true;
  if (size != UV_EOF) {
    if (defect == Defect::takes_others_down) return close_all();
    if (defect != Defect::keeps_the_gone) close(from);
    return;
  }
  if (shape != Shape::relay) return end_output(from);
  if (from->other == nullptr) return close(from);
  end_output(from->other);
  if (from->shut) close(from);
}

void on_connected(uv_connect_t* request, int status) {
  Side* const side = side_of(request->handle);
  if (uv_is_closing(handle(&side->tcp)) != 0) return;
  if (status != 0 || side->other == nullptr) return close(side);
  if (uv_read_start(stream(side), on_alloc, on_read) != 0 ||
      uv_read_start(stream(side->other), on_alloc, on_read) != 0) {
    close(side);
  }
}

void connect_on(Side* client) {
  Side* const side = make_side();
  side->other = client;
  client->other = side;
  sockaddr_in address;
  uv_ip4_addr("127.0.0.1", upstream_port, &address);
  const auto* const to = reinterpret_cast<const sockaddr*>(&address);
  if (uv_tcp_connect(&side->connect, &side->tcp, to, on_connected) != 0) close(side);
}

void remember(Side* client) {
  if (defect == Defect::keeps_a_node) nodes->push_back(std::malloc(16));
  if (defect == Defect::keeps_a_byte) table->push_back('x');
  if (shape == Shape::table) table->assign(1 + client->tcp.loop->active_handles, 'x');
  if (shape != Shape::cache) return;
  constexpr std::size_t most = 8;
  cache->emplace_back(64, 'x');
  if (cache->size() > most) cache->pop_front();
}

void on_connection(uv_stream_t* from, int status) {
  if (status != 0) return;
  Side* const side = make_side();
  if (uv_accept(from, stream(side)) != 0) return close(side);
  if (from == reinterpret_cast<uv_stream_t*>(&admin)) {
    write(side, "1 client\n", 9);
    return end_output(side);
  }
  remember(side);
  if (shape == Shape::relay) return connect_on(side);
  if (uv_read_start(stream(side), on_alloc, on_read) != 0) close(side);
}

void on_timer(uv_timer_t*) {
  if (shape != Shape::idle) return;
  uv_walk(
      &loop,
      [](uv_handle_t* h, void*) {
        if (h->type != UV_TCP || h->data == nullptr) return;
        if (uv_now(&loop) - side_of(h)->active_ms >= idle_ms) close(side_of(h));
      },
      nullptr);
}

void on_signal(uv_signal_t*, int) {
  close_all();
  for (void* const one : {handle(&listener), handle(&admin), handle(&ear), handle(&timer)}) {
    if (uv_is_closing(handle(one)) == 0) uv_close(handle(one), nullptr);
  }
}

void listen_at(uv_tcp_t* tcp, std::uint16_t number) {
  sockaddr_in address;
  uv_ip4_addr("127.0.0.1", number, &address);
  uv_tcp_bind(tcp, reinterpret_cast<const sockaddr*>(&address), 0);
  uv_listen(reinterpret_cast<uv_stream_t*>(tcp), 16, on_connection);
}

int serve() {
  std::signal(SIGPIPE, SIG_IGN);
  spare = nullptr;
  std::vector<char> the_table;
  std::deque<std::string> the_cache;
  std::vector<void*> the_nodes;
  table = &the_table;
  cache = &the_cache;
  nodes = &the_nodes;
  uv_loop_init(&loop);
  uv_tcp_init(&loop, &listener);
  uv_tcp_init(&loop, &admin);
  uv_signal_init(&loop, &ear);
  uv_timer_init(&loop, &timer);
  listener.data = admin.data = nullptr;
  // The other port is the older one, so a client of any listener meets it first.
  if (shape == Shape::admin) listen_at(&admin, admin_port);
  listen_at(&listener, port);
  uv_signal_start(&ear, on_signal, SIGTERM);
  if (shape == Shape::ticks) uv_timer_start(&timer, on_timer, tick_ms, tick_ms);
  if (shape == Shape::idle) uv_timer_start(&timer, on_timer, 500, 500);
  if (shape == Shape::frames) {
    while (uv_run(&loop, UV_RUN_NOWAIT) != 0) uv_sleep(tick_ms);
  } else {
    uv_run(&loop, UV_RUN_DEFAULT);
  }
  for (void* const node : the_nodes) std::free(node);
  while (Side* const side = spare) {
    spare = side->next_spare;
    std::free(side);
  }
  return uv_loop_close(&loop) == 0 ? 0 : 1;
}

}  // namespace

harness::Subject server(Shape wanted, Defect wrong) {
  shape = wanted;
  defect = wrong;
  harness::Subject subject;
  subject.name = "stranger";
  subject.start = serve;
  if (shape == Shape::admin) subject.echoes_at = "7000";
  if (shape == Shape::relay) subject.upstreams = {upstream_port};
  if (shape != Shape::shouts) return subject;
  subject.speech.dictionary = {"hello\n", "a line that is somewhat longer\n", "\n"};
  subject.speech.answer = [](std::string_view said, bool) {
    std::string answer(said);
    for (char& c : answer) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    return answer;
  };
  return subject;
}

}  // namespace stranger
