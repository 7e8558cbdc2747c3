// The bench of fixture.hpp. Everything that scenarios have in common happens here, so that each of
// them shows only what it is about.
#include "fixture.hpp"

#include <netinet/in.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace conformance {

namespace {

struct WriteRequest {
  uv_write_t uv{};
  std::vector<std::string> parts;
  std::string tag;
};

template <class T>
T& self_of(void* data) {
  return static_cast<T&>(*static_cast<Named*>(data));
}

std::size_t total_size(const std::vector<std::string>& parts) {
  std::size_t size = 0;
  for (const std::string& part : parts) size += part.size();
  return size;
}

std::string with_tag(const std::string& tag) { return tag.empty() ? "" : " " + tag; }

bool is_printable(const std::string& bytes) {
  for (const char byte : bytes) {
    if (byte < ' ' || byte > '~') return false;
  }
  return true;
}

}  // namespace

std::string result_name(long long result) {
  return result < 0 ? uv_err_name(static_cast<int>(result)) : std::to_string(result);
}

char payload_byte(std::size_t offset) { return static_cast<char>('a' + offset % 23); }

std::string payload(std::size_t size, std::size_t offset) {
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i < size; i++) bytes[i] = payload_byte(offset + i);
  return bytes;
}

std::string fresh_pipe_name() {
  static int count = 0;
  return "/tmp/uv-conformance-" + std::to_string(getpid()) + "-" + std::to_string(count++);
}

// ------------------------------------------------------------------------------------- any handle

int Named::call(const std::string& what, int result) {
  return fixture.call(name + "." + what, result);
}

void Named::traced(const std::string& what) { fixture.log("> %s %s", name.c_str(), what.c_str()); }

void Named::close() {
  fixture.log("%s.close", name.c_str());
  uv_close(handle(), [](uv_handle_t* closed) {
    Named& self = *static_cast<Named*>(closed->data);
    self.traced("closed");
    if (self.on_close) self.on_close();
  });
}

void Named::close_quietly() { uv_close(handle(), nullptr); }

void Named::ref() {
  fixture.log("%s.ref", name.c_str());
  uv_ref(handle());
}

void Named::unref() {
  fixture.log("%s.unref", name.c_str());
  uv_unref(handle());
}

void Named::trace_state() {
  fixture.log("%s: active=%d closing=%d ref=%d", name.c_str(), uv_is_active(handle()),
              uv_is_closing(handle()), uv_has_ref(handle()));
}

int Timer::start(std::uint64_t timeout, std::uint64_t repeat) {
  const std::string what =
      "start(" + std::to_string(timeout) + (repeat ? "," + std::to_string(repeat) : "") + ")";
  return call(what, uv_timer_start(
                        &uv,
                        [](uv_timer_t* timer) {
                          Timer& self = self_of<Timer>(timer->data);
                          self.traced("fires");
                          if (self.on_timer) self.on_timer();
                        },
                        timeout, repeat));
}

int Timer::stop() { return call("stop", uv_timer_stop(&uv)); }
int Timer::again() { return call("again", uv_timer_again(&uv)); }
int Async::send() { return call("send", uv_async_send(&uv)); }

namespace {

void signal_cb(uv_signal_t* signal, int signum) {
  Signal& self = self_of<Signal>(signal->data);
  self.traced("signal " + std::to_string(signum));
  if (self.on_signal) self.on_signal(signum);
}

}  // namespace

int Signal::start(int signum) { return call("start", uv_signal_start(&uv, signal_cb, signum)); }
int Signal::start_oneshot(int signum) {
  return call("start_oneshot", uv_signal_start_oneshot(&uv, signal_cb, signum));
}
int Signal::stop() { return call("stop", uv_signal_stop(&uv)); }

// ---------------------------------------------------------------------------------------- streams

Stream::~Stream() {
  if (lent_buffers_ != 0)
    fixture.log("%s: %d buffers never came back", name.c_str(), lent_buffers_);
}

int Stream::bind_loopback(int port) {
  sockaddr_in address;
  uv_ip4_addr("127.0.0.1", port, &address);
  return call("bind", uv_tcp_bind(tcp(), reinterpret_cast<const sockaddr*>(&address), 0));
}

int Stream::bind_loopback6(int port) {
  sockaddr_in6 address;
  uv_ip6_addr("::1", port, &address);
  return call("bind6", uv_tcp_bind(tcp(), reinterpret_cast<const sockaddr*>(&address), 0));
}

int Stream::bind_name(const std::string& path) {
  return call("bind", uv_pipe_bind(pipe(), path.c_str()));
}

void Stream::connection_cb(uv_stream_t* server, int status) {
  Stream& self = self_of<Stream>(server->data);
  self.traced("connection " + result_name(status));
  if (self.on_connection) self.on_connection();
}

int Stream::listen(int backlog) {
  return call("listen", uv_listen(stream(), backlog, connection_cb));
}

int Stream::accept(Stream& into) {
  return call("accept(" + into.name + ")", uv_accept(stream(), into.stream()));
}

int Stream::port() {
  sockaddr_storage address{};
  int size = sizeof address;
  if (uv_tcp_getsockname(tcp(), reinterpret_cast<sockaddr*>(&address), &size) != 0) return 0;
  if (address.ss_family == AF_INET6) {
    return ntohs(reinterpret_cast<sockaddr_in6*>(&address)->sin6_port);
  }
  return ntohs(reinterpret_cast<sockaddr_in*>(&address)->sin_port);
}

namespace {

void connect_cb(uv_connect_t* request, int status) {
  Stream& self = self_of<Stream>(request->data);
  delete request;
  self.traced("connect " + result_name(status));
  if (self.on_connect) self.on_connect();
}

}  // namespace

int Stream::connect(Stream& server) { return connect_port(server.port()); }

int Stream::connect_port(int port) {
  sockaddr_in address;
  uv_ip4_addr("127.0.0.1", port, &address);
  auto* request = new uv_connect_t;
  request->data = static_cast<Named*>(this);
  const int status =
      uv_tcp_connect(request, tcp(), reinterpret_cast<const sockaddr*>(&address), connect_cb);
  if (status != 0) delete request;
  return call("connect", status);
}

void Stream::connect_name(const std::string& path) {
  auto* request = new uv_connect_t;
  request->data = static_cast<Named*>(this);
  uv_pipe_connect(request, pipe(), path.c_str(), connect_cb);
  fixture.log("%s.connect", name.c_str());
}

void Stream::alloc_cb(uv_handle_t* handle, std::size_t suggested, uv_buf_t* buffer) {
  Stream& self = self_of<Stream>(handle->data);
  if (self.traces_alloc) self.traced("alloc " + std::to_string(suggested));
  const std::size_t size = self.on_alloc ? self.on_alloc() : suggested;
  if (size == 0) {
    *buffer = uv_buf_init(nullptr, 0);
    return;
  }
  self.lent_buffers_++;
  *buffer = uv_buf_init(static_cast<char*>(std::malloc(size)), static_cast<unsigned>(size));
}

void Stream::traced_read(ssize_t nread, const uv_buf_t& buffer) {
  if (nread > 0) {
    last_read.assign(buffer.base, static_cast<std::size_t>(nread));
    if (counts_reads) {
      if (last_read != payload(last_read.size(), received)) traced("read WRONG BYTES");
      received += last_read.size();
      return;
    }
    received += last_read.size();
  }
  if (nread == 0 && counts_reads) return;
  std::string what = "read " + result_name(nread);
  if (nread > 0 && nread <= 16 && is_printable(last_read)) what += " \"" + last_read + "\"";
  if (buffer.base == nullptr) what += " without a buffer";
  traced(what);
}

void Stream::read_cb(uv_stream_t* stream, ssize_t nread, const uv_buf_t* buffer) {
  Stream& self = self_of<Stream>(stream->data);
  if (buffer->base != nullptr) self.lent_buffers_--;
  self.traced_read(nread, *buffer);
  std::free(buffer->base);
  if (self.on_read) self.on_read(nread);
}

int Stream::read_start() { return call("read_start", uv_read_start(stream(), alloc_cb, read_cb)); }
int Stream::read_stop() { return call("read_stop", uv_read_stop(stream())); }

int Stream::write(const std::string& bytes, const std::string& tag) {
  return write_parts({bytes}, tag);
}

int Stream::write_parts(const std::vector<std::string>& parts, const std::string& tag) {
  auto* request = new WriteRequest;
  request->parts = parts;
  request->tag = tag;
  request->uv.data = request;
  std::vector<uv_buf_t> buffers;
  for (std::string& part : request->parts) {
    buffers.push_back(uv_buf_init(part.data(), static_cast<unsigned>(part.size())));
  }
  const int status =
      uv_write(&request->uv, stream(), buffers.data(), static_cast<unsigned>(buffers.size()),
               [](uv_write_t* done, int result) {
                 const std::unique_ptr<WriteRequest> mine(static_cast<WriteRequest*>(done->data));
                 Stream& self = self_of<Stream>(done->handle->data);
                 self.traced("write" + with_tag(mine->tag) + " " + result_name(result));
                 if (self.on_write) self.on_write(mine->tag, result);
               });
  if (status != 0) delete request;
  return call("write" + with_tag(tag) + "(" + std::to_string(total_size(parts)) + ")", status);
}

int Stream::try_write(const std::string& bytes) {
  std::string copy = bytes;
  const uv_buf_t buffer = uv_buf_init(copy.data(), static_cast<unsigned>(copy.size()));
  return call("try_write(" + std::to_string(bytes.size()) + ")",
              uv_try_write(stream(), &buffer, 1));
}

int Stream::shutdown() {
  auto* request = new uv_shutdown_t;
  const int status = uv_shutdown(request, stream(), [](uv_shutdown_t* done, int result) {
    Stream& self = self_of<Stream>(done->handle->data);
    delete done;
    self.traced("shutdown " + result_name(result));
    if (self.on_shutdown) self.on_shutdown();
  });
  if (status != 0) delete request;
  return call("shutdown", status);
}

int Stream::close_reset() {
  return call("close_reset", uv_tcp_close_reset(tcp(), [](uv_handle_t* closed) {
                Named& self = *static_cast<Named*>(closed->data);
                self.traced("closed");
                if (self.on_close) self.on_close();
              }));
}

// The field and the getter are both read by real programs, so both are looked at.
void Stream::trace_queue() {
  const std::size_t size = uv_stream_get_write_queue_size(stream());
  fixture.log("%s.write_queue_size = %zu%s", name.c_str(), size,
              size == stream()->write_queue_size ? "" : " but the field differs");
}

void Stream::trace_direction() {
  fixture.log("%s: readable=%d writable=%d", name.c_str(), uv_is_readable(stream()),
              uv_is_writable(stream()));
}

// ---------------------------------------------------------------------------------------- the
// fixture

Fixture::Fixture(std::string& trace, Version version) : trace_(trace), version_(version) {
  if (uv_loop_init(&loop_) != 0) std::abort();
}

Fixture::~Fixture() {
  if (!finished_) finish();
}

void Fixture::log(const char* format, ...) {
  if (muted) return;
  char line[512];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  trace_ += line;
  trace_ += '\n';
}

int Fixture::call(const std::string& what, long long result) {
  log("%s = %s", what.c_str(), result_name(result).c_str());
  return static_cast<int>(result);
}

template <class T>
T& Fixture::adopt(std::unique_ptr<T> handle) {
  T& adopted = *handle;
  adopted.handle()->data = static_cast<Named*>(&adopted);
  handles_.push_back(std::move(handle));
  return adopted;
}

namespace {

void must_work(int status) {
  if (status != 0) std::abort();
}

}  // namespace

Stream& Fixture::tcp(const std::string& name, uv_loop_t* on) {
  auto stream = std::make_unique<Stream>(*this, name);
  must_work(uv_tcp_init(on ? on : &loop_, stream->tcp()));
  return adopt(std::move(stream));
}

Stream& Fixture::pipe(const std::string& name) {
  auto stream = std::make_unique<Stream>(*this, name);
  must_work(uv_pipe_init(&loop_, stream->pipe(), 0));
  return adopt(std::move(stream));
}

Timer& Fixture::timer(const std::string& name, uv_loop_t* on) {
  auto timer = std::make_unique<Timer>(*this, name);
  must_work(uv_timer_init(on ? on : &loop_, &timer->uv));
  return adopt(std::move(timer));
}

Idle& Fixture::idle(const std::string& name) {
  auto idle = std::make_unique<Idle>(*this, name);
  must_work(uv_idle_init(&loop_, &idle->uv));
  return adopt(std::move(idle));
}

Prepare& Fixture::prepare(const std::string& name) {
  auto prepare = std::make_unique<Prepare>(*this, name);
  must_work(uv_prepare_init(&loop_, &prepare->uv));
  return adopt(std::move(prepare));
}

Check& Fixture::check(const std::string& name) {
  auto check = std::make_unique<Check>(*this, name);
  must_work(uv_check_init(&loop_, &check->uv));
  return adopt(std::move(check));
}

Async& Fixture::async(const std::string& name) {
  auto async = std::make_unique<Async>(*this, name);
  must_work(uv_async_init(&loop_, &async->uv, [](uv_async_t* sent) {
    Async& self = self_of<Async>(sent->data);
    self.traced("async");
    if (self.on_async) self.on_async();
  }));
  return adopt(std::move(async));
}

Signal& Fixture::signal(const std::string& name, uv_loop_t* on) {
  auto signal = std::make_unique<Signal>(*this, name);
  must_work(uv_signal_init(on ? on : &loop_, &signal->uv));
  return adopt(std::move(signal));
}

int Fixture::run(uv_run_mode mode) {
  static const char* const names[] = {"default", "once", "nowait"};
  return call(std::string("run(") + names[mode] + ")", uv_run(&loop_, mode));
}

void Fixture::run_until(const std::function<bool()>& condition) {
  for (int turn = 0; turn < 10000 && !condition(); turn++) {
    uv_run(&loop_, UV_RUN_ONCE);
  }
  if (!condition()) log("it never happened");
}

uv_loop_t* Fixture::open_second_loop() {
  second_loop_ = std::make_unique<uv_loop_t>();
  must_work(uv_loop_init(second_loop_.get()));
  return second_loop_.get();
}

void Fixture::finish() {
  finished_ = true;
  muted = true;
  for (auto& handle : handles_) {
    handle->on_close = nullptr;
    if (auto* stream = dynamic_cast<Stream*>(handle.get())) {
      stream->on_connection = stream->on_connect = stream->on_shutdown = nullptr;
      stream->on_read = nullptr;
      stream->on_write = nullptr;
      stream->on_alloc = nullptr;
    }
  }
  int status = 0;
  for (uv_loop_t* loop : {&loop_, second_loop_.get()}) {
    if (loop == nullptr) continue;
    uv_walk(
        loop,
        [](uv_handle_t* handle, void*) {
          if (!uv_is_closing(handle)) uv_close(handle, nullptr);
        },
        nullptr);
    while (uv_run(loop, UV_RUN_DEFAULT) != 0) {
    }
    status = uv_loop_close(loop);
    muted = false;
    if (status != 0) call("loop_close", status);
    muted = true;
  }
  muted = false;
  handles_.clear();
}

Pair::Pair(Fixture& fixture, const std::string& client_name, const std::string& peer_name)
    : client(fixture.tcp(client_name)), peer(fixture.tcp(peer_name)) {
  const Muted muted(fixture);
  Stream& server = fixture.tcp("server");
  bool is_accepted = false;
  bool is_connected = false;
  server.on_connection = [&] {
    server.accept(peer);
    is_accepted = true;
  };
  client.on_connect = [&] { is_connected = true; };
  server.bind_loopback();
  server.listen();
  client.connect(server);
  fixture.run_until([&] { return is_accepted && is_connected; });
  client.on_connect = nullptr;
  server.close_quietly();
  uv_run(fixture.loop(), UV_RUN_NOWAIT);
}

PipePair::PipePair(Fixture& fixture) : client(fixture.pipe("client")), peer(fixture.pipe("peer")) {
  const Muted muted(fixture);
  Stream& server = fixture.pipe("server");
  bool is_accepted = false;
  bool is_connected = false;
  server.on_connection = [&] {
    server.accept(peer);
    is_accepted = true;
  };
  client.on_connect = [&] { is_connected = true; };
  const std::string path = fresh_pipe_name();
  server.bind_name(path);
  server.listen();
  client.connect_name(path);
  fixture.run_until([&] { return is_accepted && is_connected; });
  client.on_connect = nullptr;
  server.close_quietly();
  uv_run(fixture.loop(), UV_RUN_NOWAIT);
}

}  // namespace conformance
