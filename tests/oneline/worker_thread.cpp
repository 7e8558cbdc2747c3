// A right server whose only worker is a std::thread: what clients say goes to it through a queue
// under a lock, and comes back in capitals when it wakes the loop.
#include <uv.h>

#include <cctype>
#include <condition_variable>
#include <csignal>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

namespace {

struct Client {
  uv_tcp_t tcp;
  unsigned number;
  char bytes[256];
};

struct Write {
  uv_write_t request;
  std::string text;
};

using Queue = std::deque<std::pair<unsigned, std::string>>;

std::map<unsigned, Client*> clients;
unsigned last_number = 0;
std::mutex lock;
std::condition_variable news;
Queue asked, answered;
bool ends = false;
uv_async_t bell;
uv_tcp_t listener;

template <class Handle>
uv_handle_t* handle(Handle* one) {
  return reinterpret_cast<uv_handle_t*>(one);
}

void drop(Client* client) {
  if (uv_is_closing(handle(&client->tcp)) != 0) return;
  clients.erase(client->number);
  uv_close(handle(&client->tcp), [](uv_handle_t* h) { delete static_cast<Client*>(h->data); });
}

void work() {
  std::unique_lock<std::mutex> held(lock);
  for (;;) {
    news.wait(held, [] { return ends || !asked.empty(); });
    if (ends) return;
    auto one = std::move(asked.front());
    asked.pop_front();
    for (char& c : one.second) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    answered.push_back(std::move(one));
    uv_async_send(&bell);
  }
}

void answer(uv_async_t*) {
  Queue all;
  {
    const std::lock_guard<std::mutex> held(lock);
    all.swap(answered);
  }
  for (auto& [number, text] : all) {
    const auto found = clients.find(number);
    if (found == clients.end()) continue;
    auto* const write = new Write{{}, std::move(text)};
    write->request.data = write;
    const uv_buf_t buffer =
        uv_buf_init(write->text.data(), static_cast<unsigned>(write->text.size()));
    const auto written = [](uv_write_t* request, int status) {
      auto* const client = static_cast<Client*>(request->handle->data);
      delete static_cast<Write*>(request->data);
      if (status < 0) drop(client);
    };
    if (uv_write(&write->request, reinterpret_cast<uv_stream_t*>(&found->second->tcp), &buffer, 1,
                 written) == 0)
      continue;
    delete write;
    drop(found->second);
  }
}

void on_alloc(uv_handle_t* of, size_t, uv_buf_t* buffer) {
  *buffer = uv_buf_init(static_cast<Client*>(of->data)->bytes, sizeof(Client::bytes));
}

void on_read(uv_stream_t* stream, ssize_t count, const uv_buf_t* buffer) {
  auto* const client = static_cast<Client*>(stream->data);
  if (count < 0) return drop(client);
  const std::lock_guard<std::mutex> held(lock);
  asked.emplace_back(client->number, std::string(buffer->base, static_cast<size_t>(count)));
  news.notify_one();
}

void on_client(uv_stream_t* from, int status) {
  if (status != 0) return;
  auto* const client = new Client;
  client->number = ++last_number;
  uv_tcp_init(from->loop, &client->tcp);
  client->tcp.data = client;
  clients[client->number] = client;
  auto* const stream = reinterpret_cast<uv_stream_t*>(&client->tcp);
  if (uv_accept(from, stream) != 0 || uv_read_start(stream, on_alloc, on_read) != 0) drop(client);
}

void stop(uv_signal_t* signal, int) {
  uv_close(handle(signal), nullptr);
  uv_close(handle(&listener), nullptr);
  uv_close(handle(&bell), nullptr);
  while (!clients.empty()) drop(clients.begin()->second);
  const std::lock_guard<std::mutex> held(lock);
  ends = true;
  news.notify_one();
}

}  // namespace

int main() {
  std::signal(SIGPIPE, SIG_IGN);
  uv_loop_t* const loop = uv_default_loop();
  sockaddr_in address;
  uv_ip4_addr("127.0.0.1", 7000, &address);
  uv_tcp_init(loop, &listener);
  uv_tcp_bind(&listener, reinterpret_cast<const sockaddr*>(&address), 0);
  uv_async_init(loop, &bell, answer);
  if (uv_listen(reinterpret_cast<uv_stream_t*>(&listener), 16, on_client) != 0) return 1;
  uv_signal_t ear;
  uv_signal_init(loop, &ear);
  uv_signal_start(&ear, stop, SIGTERM);
  std::thread worker(work);
  uv_run(loop, UV_RUN_DEFAULT);
  worker.join();
  return 0;
}
