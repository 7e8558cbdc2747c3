// What the pool does: uv_queue_work, uv_getaddrinfo, uv_getnameinfo, uv_random, uv_fs_unlink. How
// it comes to be done is in pool.cpp. The request is lent from the call to its callback (R13).
//
// Of the file system there is only the taking away of a pipe's name.
//
// Names are looked up in a world of one machine: numeric addresses, localhost, and a few services.
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <uv.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "internal.hpp"
#include "periphery.hpp"

namespace uvsim {

namespace {

template <class Request>
Request* request_of(Work* work) {
  return owner_at<Request>(link_of(work->wq), offsetof(Request, work_req) + offsetof(Work, wq));
}

template <class Request>
void submit(Call& call, uv_loop_t* loop, Request* request, uv_req_type type, void (*work)(Work*),
            void (*done)(Work*, int)) {
  call.loop(loop);
  request_begin(call.context, loop, request, type, nullptr);
  request->loop = loop;
  submit_work(call.context, loop, &request->work_req, work, done);
}

// The request is the program's again.
template <class Request>
Context& finish(Request* request) {
  Context& context = current();
  request_end(context, request->loop, request);
  return context;
}

// ---- uv_queue_work -----------------------------------------------------------------------------

void do_queued(Work* work) {
  auto* const request = request_of<uv_work_t>(work);
  call_back(current(), What::work_cb, Subject{}, request, 0, request->work_cb, request);
}

void queued_done(Work* work, int status) {
  auto* const request = request_of<uv_work_t>(work);
  Context& context = finish(request);
  if (request->after_work_cb == nullptr) return;
  call_back(context, What::after_work_cb, Subject{}, request, status, request->after_work_cb,
            request, status);
}

// ---- uv_getaddrinfo ----------------------------------------------------------------------------

struct KnownService {
  const char* name;
  uint16_t port;
};

constexpr std::array<KnownService, 8> services{{{"echo", 7},
                                                {"discard", 9},
                                                {"ftp", 21},
                                                {"ssh", 22},
                                                {"telnet", 23},
                                                {"smtp", 25},
                                                {"http", 80},
                                                {"https", 443}}};

// 0, or UV_EAI_*.
int port_of(const char* service, int flags, uint16_t* port) {
  *port = 0;
  if (service == nullptr) return 0;
  char* end = nullptr;
  const unsigned long number = std::strtoul(service, &end, 10);
  if (end != service && *end == '\0') {
    *port = static_cast<uint16_t>(number);
    return 0;
  }
  if ((flags & AI_NUMERICSERV) != 0) return UV_EAI_NONAME;
  for (const KnownService& known : services) {
    if (std::strcmp(known.name, service) == 0) {
      *port = known.port;
      return 0;
    }
  }
  return UV_EAI_SERVICE;
}

// Builds the answer. As in the C library, each entry is one block with its address inside.
class Answer {
 public:
  Answer(const addrinfo& hints, uint16_t port, const char* name)
      : hints_{hints}, port_{port}, name_{name} {}

  void add(const char* ipv4, const char* ipv6) {
    if (hints_.ai_family != AF_INET6 && ipv4 != nullptr) {
      sockaddr_in address;
      uv_ip4_addr(ipv4, port_, &address);
      add_types(&address, sizeof address);
    }
    if (hints_.ai_family != AF_INET && ipv6 != nullptr) {
      sockaddr_in6 address;
      uv_ip6_addr(ipv6, port_, &address);
      add_types(&address, sizeof address);
    }
  }

  int take(addrinfo** answer) {
    if (failed_) {
      uv_freeaddrinfo(first_);
      return UV_EAI_MEMORY;
    }
    *answer = first_;
    return first_ == nullptr ? UV_EAI_NONAME : 0;
  }

 private:
  struct Type {
    int socktype;
    int protocol;
  };

  void add_types(const void* address, size_t size) {
    constexpr std::array<Type, 3> types{
        {{SOCK_STREAM, IPPROTO_TCP}, {SOCK_DGRAM, IPPROTO_UDP}, {SOCK_RAW, IPPROTO_IP}}};
    for (const Type& type : types) {
      if (hints_.ai_socktype != 0 && hints_.ai_socktype != type.socktype) continue;
      if (hints_.ai_protocol != 0 && hints_.ai_protocol != type.protocol) continue;
      add_entry(type, address, size);
    }
  }

  void add_entry(const Type& type, const void* address, size_t size) {
    auto* const entry = static_cast<addrinfo*>(program_malloc(sizeof(addrinfo) + size));
    failed_ = failed_ || entry == nullptr;
    if (entry == nullptr) return;
    std::memset(entry, 0, sizeof *entry);
    entry->ai_flags = hints_.ai_flags;
    entry->ai_addr = reinterpret_cast<sockaddr*>(entry + 1);
    std::memcpy(entry->ai_addr, address, size);
    entry->ai_addrlen = static_cast<socklen_t>(size);
    entry->ai_family = entry->ai_addr->sa_family;
    entry->ai_socktype = type.socktype;
    entry->ai_protocol = type.protocol;
    *last_ = entry;
    last_ = &entry->ai_next;
    if (entry == first_ && (hints_.ai_flags & AI_CANONNAME) != 0 && name_ != nullptr) {
      const size_t length = std::strlen(name_) + 1;
      entry->ai_canonname = static_cast<char*>(program_malloc(length));
      if (entry->ai_canonname != nullptr)
        std::memcpy(entry->ai_canonname, name_, length);
      else
        failed_ = true;
    }
  }

  addrinfo hints_;
  uint16_t port_;
  const char* name_;
  addrinfo* first_ = nullptr;
  addrinfo** last_ = &first_;
  bool failed_ = false;
};

int look_up(const char* node, const char* service, const addrinfo& hints, addrinfo** answer) {
  *answer = nullptr;
  if (hints.ai_family != AF_UNSPEC && hints.ai_family != AF_INET && hints.ai_family != AF_INET6) {
    return UV_EAI_FAMILY;
  }
  uint16_t port = 0;
  const int error = port_of(service, hints.ai_flags, &port);
  if (error != 0) return error;
  Answer found{hints, port, node};
  unsigned char bytes[16];
  if (node == nullptr) {
    const bool passive = (hints.ai_flags & AI_PASSIVE) != 0;
    found.add(passive ? "0.0.0.0" : "127.0.0.1", passive ? "::" : "::1");
  } else if (uv_inet_pton(AF_INET, node, bytes) == 0) {
    if (hints.ai_family == AF_INET6) return UV_EAI_ADDRFAMILY;
    found.add(node, nullptr);
  } else if (uv_inet_pton(AF_INET6, node, bytes) == 0) {
    if (hints.ai_family == AF_INET) return UV_EAI_ADDRFAMILY;
    found.add(nullptr, node);
  } else if (std::strcmp(node, "localhost") == 0 && (hints.ai_flags & AI_NUMERICHOST) == 0) {
    found.add("127.0.0.1", "::1");
  }
  return found.take(answer);
}

void do_getaddrinfo(Work* work) {
  auto* const request = request_of<uv_getaddrinfo_t>(work);
  addrinfo hints{};
  if (request->hints != nullptr) hints = *request->hints;
  request->retcode = look_up(request->hostname, request->service, hints, &request->addrinfo);
}

void free_question(uv_getaddrinfo_t* request) {
  // One block holds all three; the first that is there is its beginning.
  void* block = request->hints;
  if (block == nullptr) block = request->service;
  if (block == nullptr) block = request->hostname;
  delete[] static_cast<char*>(block);
  request->hints = nullptr;
  request->service = nullptr;
  request->hostname = nullptr;
}

void getaddrinfo_done(Work* work, int status) {
  auto* const request = request_of<uv_getaddrinfo_t>(work);
  Context& context = finish(request);
  free_question(request);
  if (status == UV_ECANCELED) request->retcode = UV_EAI_CANCELED;
  call_back(context, What::getaddrinfo_cb, Subject{}, request, request->retcode, request->cb,
            request, request->retcode, request->addrinfo);
}

// libuv copies the question, because the caller's strings need not outlive the call.
void copy_question(uv_getaddrinfo_t* request, const char* node, const char* service,
                   const addrinfo* hints) {
  const size_t node_size = node == nullptr ? 0 : std::strlen(node) + 1;
  const size_t service_size = service == nullptr ? 0 : std::strlen(service) + 1;
  const size_t hints_size = hints == nullptr ? 0 : sizeof *hints;
  auto* at = new char[hints_size + service_size + node_size];
  request->hints = nullptr;
  request->service = nullptr;
  request->hostname = nullptr;
  if (hints != nullptr) {
    request->hints = static_cast<addrinfo*>(std::memcpy(at, hints, hints_size));
    at += hints_size;
  }
  if (service != nullptr) {
    request->service = static_cast<char*>(std::memcpy(at, service, service_size));
    at += service_size;
  }
  if (node != nullptr) request->hostname = static_cast<char*>(std::memcpy(at, node, node_size));
}

// ---- uv_getnameinfo ----------------------------------------------------------------------------

void do_getnameinfo(Work* work) {
  auto* const request = request_of<uv_getnameinfo_t>(work);
  const auto* const address = reinterpret_cast<const sockaddr*>(&request->storage);
  char text[NI_MAXHOST];
  uv_ip_name(address, text, sizeof text);
  uint16_t port = 0;
  bool loopback = false;
  if (address->sa_family == AF_INET) {
    const auto* const ipv4 = reinterpret_cast<const sockaddr_in*>(address);
    port = ntohs(ipv4->sin_port);
    loopback = ipv4->sin_addr.s_addr == htonl(INADDR_LOOPBACK);
  } else {
    const auto* const ipv6 = reinterpret_cast<const sockaddr_in6*>(address);
    port = ntohs(ipv6->sin6_port);
    loopback = IN6_IS_ADDR_LOOPBACK(&ipv6->sin6_addr);
  }
  const bool named = loopback && (request->flags & NI_NUMERICHOST) == 0;
  request->retcode = !named && (request->flags & NI_NAMEREQD) != 0 ? UV_EAI_NONAME : 0;
  std::snprintf(request->host, sizeof request->host, "%s", named ? "localhost" : text);
  std::snprintf(request->service, sizeof request->service, "%u", port);
  if ((request->flags & NI_NUMERICSERV) != 0) return;
  for (const KnownService& known : services) {
    if (known.port != port) continue;
    std::snprintf(request->service, sizeof request->service, "%s", known.name);
  }
}

void getnameinfo_done(Work* work, int status) {
  auto* const request = request_of<uv_getnameinfo_t>(work);
  Context& context = finish(request);
  if (status == UV_ECANCELED) request->retcode = UV_EAI_CANCELED;
  const bool found = request->retcode == 0;
  call_back(context, What::getnameinfo_cb, Subject{}, request, request->retcode,
            request->getnameinfo_cb, request, request->retcode,
            static_cast<const char*>(found ? request->host : nullptr),
            static_cast<const char*>(found ? request->service : nullptr));
}

// ---- uv_random ---------------------------------------------------------------------------------

// Random enough for programs, and the same in every run.
void fill_random(Context& context, void* buffer, size_t size) {
  auto* const bytes = static_cast<unsigned char*>(buffer);
  uint64_t state = ++context.step;
  for (size_t i = 0; i < size; ++i) {
    state = (state ^ (state >> 29) ^ i) * 0x9E3779B97F4A7C15u;
    bytes[i] = static_cast<unsigned char>(state >> 56);
  }
}

void do_random(Work* work) {
  auto* const request = request_of<uv_random_t>(work);
  fill_random(current(), request->buf, request->buflen);
  request->status = 0;
}

void random_done(Work* work, int status) {
  auto* const request = request_of<uv_random_t>(work);
  Context& context = finish(request);
  if (status != 0) request->status = status;
  call_back(context, What::random_cb, Subject{}, request, request->status, request->cb, request,
            request->status, request->buf, request->buflen);
}

// ---- uv_fs_unlink ------------------------------------------------------------------------------

// Programs remove the name of a pipe before they bind it. Names belong to the simulated machine; a
// socket that another program left in the real file system is no obstacle.
int unlink_name(const char* path) {
  const int error = current().kernel.remove_name(path);
  struct stat status;
  if (error == 0 || lstat(path, &status) != 0) return error;
  if (!S_ISSOCK(status.st_mode)) unsimulated("uv_fs_unlink of a file");
  return 0;
}

void do_unlink(Work* work) {
  auto* const request = request_of<uv_fs_t>(work);
  request->result = unlink_name(request->path);
}

void unlink_done(Work* work, int status) {
  auto* const request = request_of<uv_fs_t>(work);
  Context& context = finish(request);
  if (status != 0) request->result = status;
  call_back(context, What::fs_cb, Subject{}, request, request->result, request->cb, request);
}

Work* work_of(uv_req_t* request) {
  switch (request->type) {
    case UV_WORK: return &reinterpret_cast<uv_work_t*>(request)->work_req;
    case UV_GETADDRINFO: return &reinterpret_cast<uv_getaddrinfo_t*>(request)->work_req;
    case UV_GETNAMEINFO: return &reinterpret_cast<uv_getnameinfo_t*>(request)->work_req;
    case UV_FS: return &reinterpret_cast<uv_fs_t*>(request)->work_req;
    case UV_RANDOM: return &reinterpret_cast<uv_random_t*>(request)->work_req;
    default: return nullptr;
  }
}

}  // namespace

int cancel_request(uv_req_t* request) {
  Work* const work = work_of(request);
  return work == nullptr ? UV_EINVAL : cancel_work(work);
}

}  // namespace uvsim

using namespace uvsim;  // NOLINT(google-build-using-namespace): the C functions of libuv follow.

extern "C" {

int uv_queue_work(uv_loop_t* loop, uv_work_t* req, uv_work_cb work_cb,
                  uv_after_work_cb after_work_cb) {
  Call call(What::uv_queue_work);
  check_request_free(call.context, req, Subject{});
  if (work_cb == nullptr) return call.result(UV_EINVAL);
  req->work_cb = work_cb;
  req->after_work_cb = after_work_cb;
  submit(call, loop, req, UV_WORK, do_queued, queued_done);
  return call.result(0);
}

int uv_getaddrinfo(uv_loop_t* loop, uv_getaddrinfo_t* req, uv_getaddrinfo_cb getaddrinfo_cb,
                   const char* node, const char* service, const struct addrinfo* hints) {
  Call call(What::uv_getaddrinfo);
  if (req == nullptr || (node == nullptr && service == nullptr)) return call.result(UV_EINVAL);
  if (node != nullptr && std::strlen(node) > 255) return call.result(UV_EINVAL);
  check_request_free(call.context, req, Subject{});
  req->cb = getaddrinfo_cb;
  req->addrinfo = nullptr;
  req->retcode = 0;
  copy_question(req, node, service, hints);
  if (getaddrinfo_cb != nullptr) {
    submit(call, loop, req, UV_GETADDRINFO, do_getaddrinfo, getaddrinfo_done);
    return call.result(0);
  }
  req->type = UV_GETADDRINFO;
  req->loop = loop;
  do_getaddrinfo(&req->work_req);
  free_question(req);
  return call.result(req->retcode);
}

void uv_freeaddrinfo(struct addrinfo* ai) {
  while (ai != nullptr) {
    addrinfo* const next = ai->ai_next;
    if (ai->ai_canonname != nullptr) program_free(ai->ai_canonname);
    program_free(ai);
    ai = next;
  }
}

int uv_getnameinfo(uv_loop_t* loop, uv_getnameinfo_t* req, uv_getnameinfo_cb getnameinfo_cb,
                   const struct sockaddr* addr, int flags) {
  Call call(What::uv_getnameinfo);
  if (req == nullptr || addr == nullptr) return call.result(UV_EINVAL);
  size_t size = 0;
  if (addr->sa_family == AF_INET) size = sizeof(sockaddr_in);
  if (addr->sa_family == AF_INET6) size = sizeof(sockaddr_in6);
  if (size == 0) return call.result(UV_EINVAL);
  check_request_free(call.context, req, Subject{});
  std::memset(&req->storage, 0, sizeof req->storage);
  std::memcpy(&req->storage, addr, size);
  req->getnameinfo_cb = getnameinfo_cb;
  req->flags = flags;
  req->retcode = 0;
  if (getnameinfo_cb != nullptr) {
    submit(call, loop, req, UV_GETNAMEINFO, do_getnameinfo, getnameinfo_done);
    return call.result(0);
  }
  req->type = UV_GETNAMEINFO;
  req->loop = loop;
  do_getnameinfo(&req->work_req);
  return call.result(req->retcode);
}

int uv_random(uv_loop_t* loop, uv_random_t* req, void* buf, size_t buflen, unsigned flags,
              uv_random_cb cb) {
  Call call(What::uv_random, static_cast<int64_t>(buflen));
  if (buflen > 0x7FFFFFFFu) return call.result(UV_E2BIG);
  if (flags != 0) return call.result(UV_EINVAL);
  if (cb == nullptr) {
    fill_random(call.context, buf, buflen);
    return call.result(0);
  }
  check_request_free(call.context, req, Subject{});
  req->buf = buf;
  req->buflen = buflen;
  req->cb = cb;
  submit(call, loop, req, UV_RANDOM, do_random, random_done);
  return call.result(0);
}

int uv_fs_unlink(uv_loop_t* loop, uv_fs_t* req, const char* path, uv_fs_cb cb) {
  Call call(What::uv_fs_unlink);
  if (req == nullptr) return call.result(UV_EINVAL);
  check_request_free(call.context, req, Subject{});
  req->type = UV_FS;
  req->fs_type = UV_FS_UNLINK;
  req->loop = loop;
  req->cb = cb;
  req->result = 0;
  req->ptr = nullptr;
  req->path = path;
  if (cb == nullptr) {
    req->result = unlink_name(path);
    return call.result(req->result);
  }
  // The caller's text need not outlive the call; uv_fs_req_cleanup releases the copy.
  const size_t size = std::strlen(path) + 1;
  auto* const copy = static_cast<char*>(program_malloc(size));
  if (copy == nullptr) return call.result(UV_ENOMEM);
  req->path = static_cast<const char*>(std::memcpy(copy, path, size));
  submit(call, loop, req, UV_FS, do_unlink, unlink_done);
  return call.result(0);
}

void uv_fs_req_cleanup(uv_fs_t* req) {
  look();
  if (req == nullptr) return;
  if (req->cb != nullptr && req->path != nullptr) program_free(const_cast<char*>(req->path));
  req->path = nullptr;
}

uv_fs_type uv_fs_get_type(const uv_fs_t* req) { return req->fs_type; }
ssize_t uv_fs_get_result(const uv_fs_t* req) { return req->result; }
void* uv_fs_get_ptr(const uv_fs_t* req) { return req->ptr; }
const char* uv_fs_get_path(const uv_fs_t* req) { return req->path; }
uv_stat_t* uv_fs_get_statbuf(uv_fs_t* req) { return &req->statbuf; }
int uv_fs_get_system_error(const uv_fs_t* req) { return static_cast<int>(-req->result); }

}  // extern "C"
