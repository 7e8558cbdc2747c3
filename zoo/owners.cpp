// C++ owners: every handle and every request is somebody's, and destructors do what is due.
//
// A handle lives on the heap, because libuv keeps it after its owner has gone (R28): the owner's
// destructor closes it, and the close callback deletes it. Callbacks that come later find no owner.
#include <algorithm>
#include <array>
#include <csignal>
#include <cstddef>
#include <memory>
#include <new>
#include <utility>

#include "zoo.h"

namespace {

constexpr std::size_t clients_max = 3;
constexpr std::size_t piece = 128;
constexpr int backlog = 16;

// Owns a handle of libuv. `data` is the object that gets its callbacks; null: none is left.
template <class Handle>
class Owned {
 public:
  Owned() = default;
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  ~Owned() { reset(); }

  bool allocate() {
    handle_ = new (std::nothrow) Handle;
    return handle_ != nullptr;
  }
  // Where the handle was never initialised.
  void discard() {
    delete handle_;
    handle_ = nullptr;
  }
  void reset() {
    if (handle_ == nullptr) return;
    if (bug(C24_destructor_deletes_the_handle)) {
      delete handle_;
    } else if (bug(C2_deleted_right_after_close)) {
      uv_close(base(), nullptr);
      delete handle_;
    } else {
      if (!bug(C6_callbacks_find_the_dead)) handle_->data = nullptr;
      uv_close(base(), [](uv_handle_t* handle) { delete reinterpret_cast<Handle*>(handle); });
    }
    handle_ = nullptr;
  }

  Handle* get() const { return handle_; }
  uv_handle_t* base() const { return reinterpret_cast<uv_handle_t*>(handle_); }

 private:
  Handle* handle_ = nullptr;
};

class Connection;

// Takes notice of ends. A connection does not exist any more when it has been told of.
class Ends {
 public:
  virtual void on_end(Connection& connection) = 0;

 protected:
  ~Ends() = default;
};

// What is being read into; there only while the connection reads.
struct Reader {
  std::array<char, piece> bytes;
};

struct Write {
  uv_write_t request{};
  Connection* connection = nullptr;
  std::array<char, piece> bytes{};
};

class Connection {
 public:
  explicit Connection(Ends& ends) : ends_(ends) {}

  // Takes what waits at the listener. Without a free handle this is for a later call.
  bool accept(uv_stream_t* listener) {
    if (!tcp_.allocate()) return false;
    if (uv_tcp_init(listener->loop, tcp_.get()) != 0) {
      tcp_.discard();
      return false;
    }
    tcp_.get()->data = this;
    return uv_accept(listener, stream()) == 0;
  }
  bool has_handle() const { return tcp_.get() != nullptr; }

  bool read() {
    reader_.reset(new (std::nothrow) Reader);
    if (reader_ == nullptr) return false;
    const int status = uv_read_start(stream(), on_alloc, on_read);
    return status == 0 || status == UV_EALREADY;
  }

  void keep(std::shared_ptr<Connection> self) { self_ = std::move(self); }

 private:
  uv_stream_t* stream() const { return reinterpret_cast<uv_stream_t*>(tcp_.get()); }

  void pause() {
    if (!bug(A12_reader_destroyed_while_reading)) uv_read_stop(stream());
    reader_.reset();
  }

  // The last thing that a function of a connection does: it destroys it.
  void end() {
    ends_.on_end(*this);
    if (bug(C11_touched_after_its_end)) {
      ended_ = true;
    }
  }

  // False when the connection has ended.
  bool send(const char* bytes, std::size_t size) {
    auto write = std::unique_ptr<Write>(new (std::nothrow) Write);
    if (write == nullptr) {
      end();
      return false;
    }
    write->connection = this;
    std::copy_n(bytes, size, write->bytes.begin());
    uv_buf_t buffer = uv_buf_init(write->bytes.data(), static_cast<unsigned>(size));
    if (uv_write(&write->request, stream(), &buffer, 1, on_write) != 0) {
      end();
      return false;
    }
    static_cast<void>(write.release());  // libuv's, until on_write
    return true;
  }

  static void on_alloc(uv_handle_t* tcp, std::size_t, uv_buf_t* buffer) {
    Reader& reader = *static_cast<Connection*>(tcp->data)->reader_;
    *buffer = uv_buf_init(reader.bytes.data(), static_cast<unsigned>(piece));
  }

  static void on_read(uv_stream_t* stream, ssize_t nread, const uv_buf_t* buffer) {
    Connection& connection = *static_cast<Connection*>(stream->data);
    if (nread == 0) return;
    if (nread < 0) return connection.end();
    const bool sent = connection.send(buffer->base, static_cast<std::size_t>(nread));
    if (!bug(A14_destroyed_in_its_own_call)) {
      if (!sent) return;
    }
    connection.echoed_ += static_cast<std::size_t>(nread);
    connection.pause();
  }

  static void on_write(uv_write_t* request, int status) {
    const std::unique_ptr<Write> write(reinterpret_cast<Write*>(request));
    if (request->handle->data == nullptr) return;  // closed meanwhile
    if (status < 0 || !write->connection->read()) write->connection->end();
  }

  Ends& ends_;
  Owned<uv_tcp_t> tcp_;
  std::unique_ptr<Reader> reader_;
  std::shared_ptr<Connection> self_;
  std::size_t echoed_ = 0;
  bool ended_ = false;
};

class Server final : public Ends {
 public:
  int run() {
    if (uv_loop_init(&loop_) != 0) return 1;
    const int status = start();
    if (status != 0) stop();
    uv_run(&loop_, UV_RUN_DEFAULT);
    return uv_loop_close(&loop_) == 0 && status == 0 ? 0 : 1;
  }

 private:
  int start() {
    int status = uv_async_init(&loop_, &idle_, [](uv_async_t*) {});
    if (status != 0) return status;
    ++open_;
    status = uv_signal_init(&loop_, &signal_);
    if (status != 0) return status;
    ++open_;
    signal_.data = this;
    status = uv_tcp_init(&loop_, &listener_);
    if (status != 0) return status;
    ++open_;
    listener_.data = this;
    door_init(&door_, reinterpret_cast<uv_stream_t*>(&listener_));
    sockaddr_in address{};
    status = uv_ip4_addr("127.0.0.1", zoo_port(), &address);
    if (status == 0) {
      status = uv_tcp_bind(&listener_, reinterpret_cast<const sockaddr*>(&address), 0);
    }
    auto* const stream = reinterpret_cast<uv_stream_t*>(&listener_);
    if (status == 0) status = uv_listen(stream, backlog, on_connection);
    if (status == 0) {
      const auto on_signal = [](uv_signal_t* signal, int) {
        static_cast<Server*>(signal->data)->stop();
      };
      status = uv_signal_start(&signal_, on_signal, SIGTERM);
    }
    if (status == 0) zoo_listening(&listener_);
    return status;
  }

  void stop() {
    const std::array<uv_handle_t*, 3> handles{reinterpret_cast<uv_handle_t*>(&idle_),
                                              reinterpret_cast<uv_handle_t*>(&signal_),
                                              reinterpret_cast<uv_handle_t*>(&listener_)};
    if (bug(C23_async_sent_after_close)) {
      for (std::size_t i = 0; i < open_; ++i) uv_close(handles[i], nullptr);
      for (auto& each : connections_) {
        if (each != nullptr) on_end(*each);
      }
    } else {
      for (auto& each : connections_) {
        if (each != nullptr) on_end(*each);
      }
      for (std::size_t i = 0; i < open_; ++i) uv_close(handles[i], nullptr);
    }
    open_ = 0;
  }

  static void on_connection(uv_stream_t* listener, int status) {
    if (status < 0) return;
    Server& server = *static_cast<Server*>(listener->data);
    const auto place = std::find(server.connections_.begin(), server.connections_.end(), nullptr);
    std::shared_ptr<Connection> connection;
    if (place != server.connections_.end()) connection = server.make_connection();
    const bool accepted = connection != nullptr && connection->accept(listener);
    if (connection == nullptr || !connection->has_handle()) return door_turn_away(&server.door_);
    if (!accepted || !connection->read()) return;  // its destructor closes it
    if (bug(C24_owner_of_itself)) {
      connection->keep(connection);
    }
    *place = std::move(connection);
  }

  std::shared_ptr<Connection> make_connection() try {
    return std::make_shared<Connection>(*this);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }

  void on_end(Connection& connection) override {
    const auto place = std::find_if(connections_.begin(), connections_.end(),
                                    [&](const auto& each) { return each.get() == &connection; });
    if (place != connections_.end()) place->reset();
    const bool last = std::all_of(connections_.begin(), connections_.end(),
                                  [](const auto& each) { return each == nullptr; });
    if (last) uv_async_send(&idle_);
  }

  uv_loop_t loop_{};
  uv_async_t idle_{};  // tells other threads that nobody is served
  uv_signal_t signal_{};
  uv_tcp_t listener_{};
  std::size_t open_ = 0;  // of the three above
  door_t door_{};
  std::array<std::shared_ptr<Connection>, clients_max> connections_;
};

}  // namespace

extern "C" int owners_main(void) {
  std::signal(SIGPIPE, SIG_IGN);
  return Server().run();
}
