// What the parts of stateful.cpp know of each other.
#pragma once
#include <uv.h>

#include <map>
#include <string>

class Server {
 public:
  explicit Server(uv_loop_t* loop) : loop_(loop) {}
  bool listen(int port);

 private:
  static void on_connection(uv_stream_t* listener, int status);
  static void on_stop(uv_signal_t* signal, int number);
  uv_loop_t* loop_;
  uv_tcp_t listener_{};
  uv_signal_t stop_{};
};

// Made before main() in each run, as in a process; a second run must not see the first one's.
extern std::map<std::string, int> served;
