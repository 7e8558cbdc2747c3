// libevent's bufferevents: the library owns both buffers, the read callback moves one into the
// other. A high-water mark on input keeps a client that never reads from growing the output for
// ever.
#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>

static void on_read(struct bufferevent* client, void* context) {
  (void)context;
  bufferevent_write_buffer(client, bufferevent_get_input(client));
}

static void on_event(struct bufferevent* client, short what, void* context) {
  (void)context;
  if ((what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) != 0) bufferevent_free(client);
}

static void on_accept(struct evconnlistener* listener, evutil_socket_t fd, struct sockaddr* address,
                      int size, void* context) {
  (void)address;
  (void)size;
  (void)context;
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  struct bufferevent* client =
      bufferevent_socket_new(evconnlistener_get_base(listener), fd, BEV_OPT_CLOSE_ON_FREE);
  if (client == NULL) return;
  bufferevent_setcb(client, on_read, NULL, on_event, NULL);
  bufferevent_enable(client, EV_READ | EV_WRITE);
}

int main(void) {
  signal(SIGPIPE, SIG_IGN);
  struct event_base* base = event_base_new();
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  struct evconnlistener* listener =
      evconnlistener_new_bind(base, on_accept, NULL, LEV_OPT_CLOSE_ON_FREE, 4096,
                              (struct sockaddr*)&address, sizeof address);
  if (listener == NULL) return 1;
  socklen_t size = sizeof address;
  getsockname(evconnlistener_get_fd(listener), (struct sockaddr*)&address, &size);
  printf("{\"event\":\"listening\",\"address\":\"127.0.0.1\",\"port\":%d}\n",
         ntohs(address.sin_port));
  fflush(stdout);
  return event_base_dispatch(base);
}
