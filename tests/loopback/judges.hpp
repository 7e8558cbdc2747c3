// Judges: questions to a running server about what a client is owed, asked from a client's side
// alone. A judge returns what it saw, and the tests say what is right. negative_test.cpp asks the
// same questions of faulty servers (flawed_server.cpp), which must give another answer.
#pragma once

#include <array>

#include "client.hpp"
#include "crowd.hpp"
#include "server_process.hpp"
#include "slow_reader.hpp"

namespace loopback {

inline long in_milliseconds(Clock::duration length) {
  return std::chrono::duration_cast<milliseconds>(length).count();
}

// The longest that an echo took, of all that ten clients asked for one after the other: some have
// been there since the beginning, some come new each time. Ends when one took longer than `bound`.
inline Clock::duration longest_answer(std::uint16_t port, Clock::duration bound) {
  constexpr std::size_t size = 2000;
  Clock::duration longest{0};
  std::vector<Client> regulars;
  const Deadline enough(std::chrono::milliseconds(1500));
  for (std::uint64_t asked = 0; !enough.passed() && longest <= bound; ++asked) {
    const std::string message = payload(asked, size);
    const Clock::time_point start = Clock::now();
    std::optional<Client> newcomer;
    if (regulars.size() < 10) {
      regulars.emplace_back(port);
    } else if (asked % 10 == 0) {
      newcomer.emplace(port);
    }
    Client& client = newcomer ? *newcomer : regulars[asked % 10];
    client.send_all(message);
    std::string echo;
    while (echo.size() < size && client.ending() == Ending::open && longest <= bound) {
      if (client.wait(POLLIN, bound)) echo += client.receive_some();
      longest = std::max(longest, Clock::now() - start);
    }
    if (longest <= bound && echo != message) throw std::runtime_error("an echo is not whole");
    ::poll(nullptr, 0, 5);  // the crowd goes on meanwhile
  }
  return longest;
}

// How a connection ended, for a client that counts what it sent and what it got.
struct End {
  Ending ending;
  std::size_t sent, received;

  bool whole() const { return ending == Ending::fin && received == sent; }
  // FIN says that this was all; a client that got less must not be told so.
  bool deceives() const { return ending == Ending::fin && received < sent; }
};

inline void PrintTo(const End& end, std::ostream* out) {
  const char* const names[] = {"no end", "FIN", "a reset"};
  *out << names[static_cast<int>(end.ending)] << " after " << end.received << " of " << end.sent
       << " bytes";
}

inline End end_of(Client& client, std::size_t sent) {
  const std::size_t received = client.receive_to_end().size();
  return {client.ending(), sent, received};
}

// How many clients the server has owed something that its kernel did not take: those that it owes
// now, and those that are gone. It never falls, so it also counts a client that is cut meanwhile.
inline long debts(ServerProcess& server) {
  const Statistics now = server.statistics();
  return now.blocks_lent + now.accepted - now.connections;
}

// Sends without reading until the server itself, not only its kernel, holds bytes that it owes, and
// stops there: no byte is left that the server has not read. (Closing a connection with such bytes
// makes a reset by itself, whatever the server meant.) Returns how many were sent.
inline std::size_t owe(ServerProcess& server, Client& client) {
  const std::string piece(4096, 'x');
  const long before = debts(server);
  std::size_t sent = 0;
  do {
    while (debts(server) == before) {
      client.send_all(piece);
      sent += piece.size();
      if (sent > std::size_t{64} * 1024 * 1024) throw std::runtime_error("the kernel takes it all");
      // What went has been taken up before the next goes, or the server is owing already.
      server.statistics();
    }
    // Acknowledgments that were still to come may have made room for the rest.
    client.await_silence(milliseconds(200));  // the longest that Linux delays one
  } while (debts(server) == before);
  return sent;
}

// Clients that are owed something and do not read.
class Debt {
 public:
  Debt(ServerProcess& server, std::size_t count) {
    for (std::size_t number = 0; number < count; ++number) {
      clients_.emplace_back(server.port(), Crowd::narrow);
      sent_.push_back(owe(server, clients_.back()));
    }
  }

  // What they see when they read at last.
  std::vector<End> ends() {
    std::vector<End> seen;
    for (std::size_t i = 0; i < clients_.size(); ++i) seen.push_back(end_of(clients_[i], sent_[i]));
    return seen;
  }

 private:
  std::vector<Client> clients_;
  std::vector<std::size_t> sent_;
};

// Clients that send `bytes` each, half-close and never read: how many have been reset before the
// time is over.
inline std::size_t reset_without_reading(std::uint16_t port, std::size_t count, std::size_t bytes,
                                         Clock::duration length) {
  std::vector<Client> clients;
  for (std::size_t number = 0; number < count; ++number) {
    Client& client = clients.emplace_back(port);
    client.send_until_blocked(bytes, milliseconds(200));
    client.shutdown_write();
  }
  const Deadline deadline(length);
  std::size_t reset = 0;
  for (Client& client : clients) {
    if (client.was_reset(milliseconds(deadline.poll_timeout()))) ++reset;
  }
  return reset;
}

// A text of which each '!' is to be sent as urgent data.
inline std::string text_with_urgent_bytes(std::size_t pieces) {
  std::string text;
  for (std::size_t i = 0; i < pieces; ++i) text += "ab" + std::to_string(i) + "!de";
  return text;
}
inline void send_with_urgent_bytes(Client& client, std::string_view text) {
  while (!text.empty()) {
    const std::size_t mark = std::min(text.find('!'), text.size());
    client.send_all(text.substr(0, mark));
    if (mark < text.size()) client.send_urgent(text[mark]);
    text.remove_prefix(std::min(mark + 1, text.size()));
  }
}

// Stops the server, lets clients do something meanwhile, and lets the server go on.
template <typename Meanwhile>
void while_stopped(const ServerProcess& server, const Meanwhile& meanwhile) {
  server.signal(SIGSTOP);
  // Not before: a server that was just told of something would be held up in the middle of it.
  if (!eventually([&] { return server.stopped(); })) throw std::runtime_error("it does not stop");
  meanwhile();
  server.signal(SIGCONT);
}

// `count` clients speak while the server is stopped for `length`. Returns how many get an answer
// when it goes on.
inline std::size_t answered_after_a_stop(ServerProcess& server, std::size_t count,
                                         Clock::duration length) {
  std::vector<Client> clients;
  while (clients.size() < count) clients.emplace_back(server.port()).send_all("before");
  for (Client& client : clients) {
    if (client.receive(6) != "before") throw std::runtime_error("not even answered before");
  }
  for (Client& client : clients) client.send_all("and now");
  for (Client& client : clients) client.receive(7);  // the last word of all is but a moment old
  while_stopped(server, [&] {
    for (Client& client : clients) client.send_all("meanwhile");
    clients.front().wait(POLLIN, length);
  });
  return static_cast<std::size_t>(std::ranges::count_if(
      clients, [](Client& client) { return client.receive(9) == "meanwhile"; }));
}

// Whether the server has as few descriptors as before soon after clients were served that
// half-closed and are still there, when next to nothing is on its way to them.
inline bool gives_back_descriptors(ServerProcess& server) {
  const std::size_t before = server.descriptors().size();
  std::vector<Client> clients;
  for (std::size_t number = 0; number < 20; ++number) {
    Client& client = clients.emplace_back(server.port());
    client.send_all(payload(number, 1000));
    client.shutdown_write();
  }
  for (Client& client : clients) client.wait(POLLIN);
  return eventually([&] { return server.descriptors().size() == before; }, std::chrono::seconds(5));
}

}  // namespace loopback
