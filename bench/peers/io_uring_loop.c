// io_uring through liburing: one operation in flight for each connection, a buffer for each, and
// submissions collected until there is nothing left to complete.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { buffer_size = 65536, entries = 4096 };
enum operation { reading, writing };

struct connection {
  int fd;
  enum operation operation;
  unsigned size;  // bytes in the buffer
  unsigned sent;
  char buffer[buffer_size];
};

static struct io_uring ring;

static struct io_uring_sqe* next_entry(void) {
  struct io_uring_sqe* entry = io_uring_get_sqe(&ring);
  while (entry == NULL) {
    io_uring_submit(&ring);
    entry = io_uring_get_sqe(&ring);
  }
  return entry;
}

static void submit_accept(int listener) {
  struct io_uring_sqe* entry = next_entry();
  io_uring_prep_multishot_accept(entry, listener, NULL, NULL, SOCK_CLOEXEC);
  io_uring_sqe_set_data(entry, NULL);
}

static void submit_read(struct connection* c) {
  c->operation = reading;
  struct io_uring_sqe* entry = next_entry();
  io_uring_prep_recv(entry, c->fd, c->buffer, buffer_size, 0);
  io_uring_sqe_set_data(entry, c);
}

static void submit_write(struct connection* c) {
  c->operation = writing;
  struct io_uring_sqe* entry = next_entry();
  io_uring_prep_send(entry, c->fd, c->buffer + c->sent, c->size - c->sent, MSG_NOSIGNAL);
  io_uring_sqe_set_data(entry, c);
}

static void on_connection(int fd) {
  const int on = 1;
  struct connection* c = malloc(sizeof *c);
  if (c == NULL) {
    close(fd);
    return;
  }
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  c->fd = fd;
  submit_read(c);
}

static void on_complete(struct connection* c, int result) {
  if (result <= 0) {
    close(c->fd);
    free(c);
  } else if (c->operation == reading) {
    c->size = (unsigned)result;
    c->sent = 0;
    submit_write(c);
  } else {
    c->sent += (unsigned)result;
    if (c->sent < c->size) {
      submit_write(c);
    } else {
      submit_read(c);
    }
  }
}

int main(void) {
  signal(SIGPIPE, SIG_IGN);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (bind(listener, (struct sockaddr*)&address, sizeof address) != 0 ||
      listen(listener, 4096) != 0 ||
      getsockname(listener, (struct sockaddr*)&address, &size) != 0 ||
      io_uring_queue_init(entries, &ring, 0) != 0) {
    perror("io_uring_loop");
    return 1;
  }
  printf("{\"event\":\"listening\",\"address\":\"127.0.0.1\",\"port\":%d}\n",
         ntohs(address.sin_port));
  fflush(stdout);
  submit_accept(listener);
  for (;;) {
    io_uring_submit_and_wait(&ring, 1);
    struct io_uring_cqe* done;
    unsigned head;
    unsigned count = 0;
    io_uring_for_each_cqe(&ring, head, done) {
      ++count;
      struct connection* c = io_uring_cqe_get_data(done);
      if (c != NULL) {
        on_complete(c, done->res);
      } else {
        if (done->res >= 0) on_connection(done->res);
        if ((done->flags & IORING_CQE_F_MORE) == 0) submit_accept(listener);
      }
    }
    io_uring_cq_advance(&ring, count);
  }
}
