// Preloaded into a server, this gives every accepted socket buffers of the sizes in SOCKET_RECEIVE
// and SOCKET_SEND (SO_RCVBUF and SO_SNDBUF, in bytes, of which the kernel makes the double), and
// keeps the server from setting others. For measuring which sizes to choose, without an option
// for it in the server.
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static void set(int fd, int option, const char* variable) {
  const char* const value = getenv(variable);
  const int size = value != NULL ? atoi(value) : 0;
  if (size > 0) syscall(SYS_setsockopt, fd, SOL_SOCKET, option, &size, sizeof size);
}

int accept4(int listener, struct sockaddr* restrict address, socklen_t* restrict size, int flags) {
  const int fd = (int)syscall(SYS_accept4, listener, address, size, flags);
  if (fd >= 0) {
    set(fd, SO_RCVBUF, "SOCKET_RECEIVE");
    set(fd, SO_SNDBUF, "SOCKET_SEND");
  }
  return fd;
}

int setsockopt(int fd, int level, int name, const void* value, socklen_t size) {
  if (level == SOL_SOCKET && (name == SO_RCVBUF || name == SO_SNDBUF)) return 0;
  return (int)syscall(SYS_setsockopt, fd, level, name, value, size);
}
