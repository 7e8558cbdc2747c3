// Programs with up to eight TCP handles "a" to "h".
#pragma once

#include "scenario.hpp"

namespace uvsim::test {

inline uv_loop_t loop;
inline uv_tcp_t tcps[8];
inline uv_connect_t connects[8];
inline uv_timer_t timer;
inline char big[8 << 20];

inline void init(int count) {
  static const char* const names[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
  uv_loop_init(&loop);
  for (int i = 0; i < count; ++i) {
    uv_tcp_init(&loop, &tcps[i]);
    call(tcps[i], names[i]);
  }
}

inline int bind_to(int index, const char* host, int to_port, unsigned flags = 0) {
  sockaddr_in address;
  uv_ip4_addr(host, to_port, &address);
  return uv_tcp_bind(&tcps[index], reinterpret_cast<const sockaddr*>(&address), flags);
}

inline int bind6_to(int index, const char* host, int to_port, unsigned flags = 0) {
  sockaddr_in6 address;
  uv_ip6_addr(host, to_port, &address);
  return uv_tcp_bind(&tcps[index], reinterpret_cast<const sockaddr*>(&address), flags);
}

inline int listen_on(int index, int backlog = 8) {
  return uv_listen(stream(&tcps[index]), backlog,
                   [](uv_stream_t*, int status) { say("connection:" + code(status)); });
}

inline int connect_to(uv_tcp_t* tcp, int to_port, int index = 0,
                      uv_connect_cb callback = on_connect) {
  const sockaddr_in address = loopback(to_port);
  return uv_tcp_connect(&connects[index], tcp, reinterpret_cast<const sockaddr*>(&address),
                        callback);
}

inline int turns(int count) {
  for (int i = 0; i < count; ++i) uv_run(&loop, UV_RUN_NOWAIT);
  return close_all(&loop);
}

// A client whose SYN is not answered, because the queue is full.
inline int with_waiting_client(void (*then)()) {
  init(5);
  bind_to(4, "127.0.0.1", port);
  listen_on(4, 1);
  for (int i = 0; i < 4; ++i) connect_to(&tcps[i], port, i);
  then();
  return 0;
}

}  // namespace uvsim::test
