// The limit: the least that a server on Linux can do. One thread, level-triggered epoll, one buffer
// for all connections, recv and send. What send does not take is kept until the socket is writable,
// and nothing is read meanwhile. No time limits, no memory limit, no statistics.
//
// Built with READ_AND_WRITE it calls read and write instead, as libuv does for a stream: the kernel
// takes longer for them.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#ifdef READ_AND_WRITE
#define recv(fd, bytes, size, flags) read(fd, bytes, size)
#define send(fd, bytes, size, flags) write(fd, bytes, size)
#endif

enum { buffer_size = 65536, events_max = 1024 };

struct connection {
  int fd;
  size_t pending_size;  // unsent bytes, kept in `pending`
  char* pending;
};

static char buffer[buffer_size];
static int epoll_fd;

static void close_connection(struct connection* c) {
  close(c->fd);
  free(c->pending);
  free(c);
}

static void watch(struct connection* c, int operation, unsigned events) {
  struct epoll_event event = {.events = events, .data.ptr = c};
  if (epoll_ctl(epoll_fd, operation, c->fd, &event) != 0) perror("epoll_ctl");
}

static void on_readable(struct connection* c) {
  const ssize_t size = recv(c->fd, buffer, buffer_size, 0);
  if (size < 0 && errno == EAGAIN) return;
  if (size <= 0) {
    close_connection(c);
    return;
  }
  ssize_t sent = send(c->fd, buffer, (size_t)size, MSG_NOSIGNAL);
  if (sent == size) return;
  if (sent < 0 && errno != EAGAIN) {
    close_connection(c);
    return;
  }
  if (sent < 0) sent = 0;
  c->pending_size = (size_t)(size - sent);
  c->pending = malloc(c->pending_size);
  if (c->pending == NULL) {
    close_connection(c);
    return;
  }
  memcpy(c->pending, buffer + sent, c->pending_size);
  watch(c, EPOLL_CTL_MOD, EPOLLOUT);
}

static void on_writable(struct connection* c) {
  const ssize_t sent = send(c->fd, c->pending, c->pending_size, MSG_NOSIGNAL);
  if (sent < 0 && errno == EAGAIN) return;
  if (sent < 0) {
    close_connection(c);
    return;
  }
  c->pending_size -= (size_t)sent;
  if (c->pending_size > 0) {
    memmove(c->pending, c->pending + sent, c->pending_size);
    return;
  }
  free(c->pending);
  c->pending = NULL;
  watch(c, EPOLL_CTL_MOD, EPOLLIN);
}

static void on_connection(int listener) {
  const int on = 1;
  for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
    struct connection* c = calloc(1, sizeof *c);
    if (c == NULL) {
      close(fd);
      continue;
    }
    c->fd = fd;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    watch(c, EPOLL_CTL_ADD, EPOLLIN);
  }
}

int main(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (bind(listener, (struct sockaddr*)&address, sizeof address) != 0 ||
      listen(listener, 4096) != 0 ||
      getsockname(listener, (struct sockaddr*)&address, &size) != 0) {
    perror("epoll_loop");
    return 1;
  }
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
  if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event) != 0) return 1;
  printf("{\"event\":\"listening\",\"address\":\"127.0.0.1\",\"port\":%d}\n",
         ntohs(address.sin_port));
  fflush(stdout);

  static struct epoll_event events[events_max];
  for (;;) {
    const int count = epoll_wait(epoll_fd, events, events_max, -1);
    for (int i = 0; i < count; ++i) {
      struct connection* c = events[i].data.ptr;
      if (c == NULL) {
        on_connection(listener);
      } else if (c->pending_size > 0) {
        on_writable(c);
      } else {
        on_readable(c);
      }
    }
  }
}
