// The text of scripts.
#include "script.hpp"

#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cstring>
#include <iterator>

namespace {

struct Word {
  const char* kind;
  int value;
  const char* text;
};

#define WORD(kind, name) {kind, static_cast<int>(name), #name}
constexpr Word words[] = {
    WORD("family", AF_INET),
    WORD("family", AF_INET6),
    WORD("family", AF_UNIX),
    WORD("how", SHUT_RD),
    WORD("how", SHUT_WR),
    WORD("how", SHUT_RDWR),
    WORD("command", F_GETFL),
    WORD("command", F_SETFL),
    WORD("command", F_GETFD),
    WORD("command", F_SETFD),
    WORD("command", F_DUPFD),
    WORD("command", F_DUPFD_CLOEXEC),
    WORD("request", FIONREAD),
    WORD("request", SIOCOUTQ),
    WORD("request", FIONBIO),
    WORD("request", FIOCLEX),
    WORD("request", FIONCLEX),
    WORD("request", SIOCATMARK),
    WORD("operation", EPOLL_CTL_ADD),
    WORD("operation", EPOLL_CTL_MOD),
    WORD("operation", EPOLL_CTL_DEL),
    WORD("level", SOL_SOCKET),
    WORD("level", IPPROTO_TCP),
    WORD("level", IPPROTO_IPV6),
    WORD("what", any_port),
    WORD("what", free_port),
    WORD("what", same_as),
    WORD("what", over_ipv4),
    WORD("what", abstract_name),
    WORD("what", path),
};
constexpr Word events[] = {
    WORD("", EPOLLIN),        WORD("", EPOLLPRI),     WORD("", EPOLLOUT),
    WORD("", EPOLLERR),       WORD("", EPOLLHUP),     WORD("", EPOLLRDHUP),
    WORD("", EPOLLEXCLUSIVE), WORD("", EPOLLONESHOT), WORD("", EPOLLET),
};
constexpr Word messages[] = {
    WORD("", MSG_OOB),
    WORD("", MSG_PEEK),
    WORD("", MSG_DONTWAIT),
    WORD("", MSG_NOSIGNAL),
};
constexpr Word opening[] = {WORD("", O_NONBLOCK), WORD("", O_CLOEXEC)};
#undef WORD

template <size_t Count>
std::string flags_text(const Word (&names)[Count], int value) {
  std::string text;
  for (const Word& word : names) {
    if ((value & word.value) == 0) continue;
    if (!text.empty()) text += "|";
    text += word.text;
    value &= ~word.value;
  }
  if (value != 0 || text.empty()) text += (text.empty() ? "" : "|") + std::to_string(value);
  return text;
}

std::string number_text(const Step& step, const std::string& kind, int value) {
  if (kind == "events") return flags_text(events, value);
  if (kind == "flags") {
    const bool message = step.call >= Call::send && step.call <= Call::recvmsg;
    return message ? flags_text(messages, value) : flags_text(opening, value);
  }
  for (const Word& word : words)
    if (kind == word.kind && value == word.value) return word.text;
  return std::to_string(value);
}

}  // namespace

std::string text_of(const Step& step) {
  constexpr const char* names[] = {
#define X(name, numbers) #name,
      KERNEL_SCRIPT_CALLS(X)
#undef X
  };
  constexpr const char* numbers[] = {
#define X(name, numbers) numbers,
      KERNEL_SCRIPT_CALLS(X)
#undef X
  };
  const auto index = static_cast<size_t>(step.call);
  std::string text = std::string(names[index]) + "(";
  const int values[] = {step.a, step.b, step.c, step.d};
  const char* at = numbers[index];
  for (size_t i = 0; *at != 0; ++i) {
    const size_t length = std::strcspn(at, " ");
    if (i > 0) text += ", ";
    text += number_text(step, std::string(at, length), values[i]);
    at += length;
    if (*at == ' ') ++at;
  }
  return text + ")";
}
