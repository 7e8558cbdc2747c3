// The part of stateful.cpp that serves. With FORGETS it forgets each client; with ASSERTS it
// believes that nobody leaves without having spoken.
#include <cassert>
#include <csignal>

#include "state.hpp"

std::map<std::string, int> served;

namespace {

struct Client {
  uv_tcp_t tcp;
  uv_write_t write;
  char bytes[128];
  bool spoke = false;
};

void close(Client* client) {
  uv_handle_t* const handle = reinterpret_cast<uv_handle_t*>(&client->tcp);
  if (uv_is_closing(handle)) return;
  uv_close(handle, [](uv_handle_t* closed) {
#ifndef FORGETS
    delete static_cast<Client*>(closed->data);
#else
    closed->data = nullptr;
#endif
  });
}

void on_alloc(uv_handle_t* handle, size_t, uv_buf_t* buffer) {
  Client* const client = static_cast<Client*>(handle->data);
  *buffer = uv_buf_init(client->bytes, sizeof client->bytes);
}

void on_read(uv_stream_t* stream, ssize_t count, const uv_buf_t* buffer) {
  Client* const client = static_cast<Client*>(stream->data);
  if (count == 0) return;
#ifdef ASSERTS
  assert(count > 0 || client->spoke);
#endif
  if (count < 0) return close(client);
  client->spoke = true;
  uv_read_stop(stream);
  uv_buf_t bytes = uv_buf_init(buffer->base, static_cast<unsigned>(count));
  const int refused =
      uv_write(&client->write, stream, &bytes, 1, [](uv_write_t* write, int status) {
        Client* const to = static_cast<Client*>(write->handle->data);
        if (status < 0) return close(to);
        if (uv_is_closing(reinterpret_cast<uv_handle_t*>(&to->tcp))) return;
        if (uv_read_start(write->handle, on_alloc, on_read) != 0) close(to);
      });
  if (refused != 0) close(client);
}

}  // namespace

void Server::on_connection(uv_stream_t* listener, int status) {
  if (status < 0) return;
  Client* const client = new Client;
  uv_tcp_init(listener->loop, &client->tcp);
  client->tcp.data = client;
  uv_stream_t* const stream = reinterpret_cast<uv_stream_t*>(&client->tcp);
  if (uv_accept(listener, stream) != 0 || uv_read_start(stream, on_alloc, on_read) != 0) {
    close(client);
  }
}

void Server::on_stop(uv_signal_t* signal, int) {
  Server* const server = static_cast<Server*>(signal->data);
  uv_walk(
      signal->loop,
      [](uv_handle_t* handle, void* listener) {
        if (uv_is_closing(handle)) return;
        if (handle->type == UV_TCP && handle != listener) {
          close(static_cast<Client*>(handle->data));
        } else {
          uv_close(handle, nullptr);
        }
      },
      &server->listener_);
}

bool Server::listen(int port) {
  std::signal(SIGPIPE, SIG_IGN);
  sockaddr_in address;
  uv_ip4_addr("0.0.0.0", port, &address);
  uv_tcp_init(loop_, &listener_);
  if (uv_tcp_bind(&listener_, reinterpret_cast<sockaddr*>(&address), 0) != 0) return false;
  if (uv_listen(reinterpret_cast<uv_stream_t*>(&listener_), 16, on_connection) != 0) return false;
  uv_signal_init(loop_, &stop_);
  stop_.data = this;
  return uv_signal_start(&stop_, on_stop, SIGHUP) == 0;
}
