// How answers are written down.
#include "player.hpp"

#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

std::string result_text(long result) {
  if (result == kernel::blocked) return "waits";
  if (result == kernel::unsimulated) return "unsimulated";
  if (result >= 0) return std::to_string(result);
  return strerrorname_np(static_cast<int>(-result));
}

// The first bytes, and a sum of all.
std::string bytes_text(const char* bytes, size_t size) {
  std::string text;
  unsigned sum = 0;
  for (size_t i = 0; i < size; ++i) {
    const auto byte = static_cast<unsigned char>(bytes[i]);
    sum = sum * 31 + byte;
    if (i >= 16) continue;
    char digits[3];
    std::snprintf(digits, sizeof digits, "%02x", byte);
    text += digits;
  }
  return size <= 16 ? text : text + "... sum " + std::to_string(sum);
}

std::string events_text(uint32_t events) {
  struct Word {
    uint32_t bit;
    const char* text;
  };
  constexpr Word words[] = {{EPOLLIN, "IN"},         {EPOLLPRI, "PRI"},
                            {EPOLLOUT, "OUT"},       {EPOLLERR, "ERR"},
                            {EPOLLHUP, "HUP"},       {0x20, "NVAL"},
                            {EPOLLRDNORM, "RDNORM"}, {EPOLLWRNORM, "WRNORM"},
                            {EPOLLWRBAND, "WRBAND"}, {EPOLLRDHUP, "RDHUP"}};
  std::string text;
  for (const Word& word : words)
    if ((events & word.bit) != 0) text += (text.empty() ? "" : "|") + std::string(word.text);
  return text.empty() ? "nothing" : text;
}

std::string socket_name(int index) {
  return "socket" + std::to_string(index) + "_" + std::to_string(getpid());
}

void make_bytes(size_t step, char* to, size_t size) {
  for (size_t i = 0; i < size; ++i) to[i] = static_cast<char>(step * 16 + i);
}
