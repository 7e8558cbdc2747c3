// What is shown of bytes that are wrong or missing: where, which, and whose they are.
#include "harness/evidence.hpp"

#include <gtest/gtest.h>

#include <array>

#include "harness/payload.hpp"

namespace harness {
namespace {

std::array<Client, 2> two_clients() {
  std::array<Client, 2> clients;
  for (std::uint32_t i = 0; i < clients.size(); ++i) {
    clients[i].number = i;
    clients[i].sent = clients[i].due = 100;
  }
  return clients;
}

TEST(Evidence, another_clients_bytes_are_told_as_its_own) {
  std::array<Client, 2> clients = two_clients();
  clients[0].received = 10;
  const std::string text =
      wrong_bytes(clients[0], payload::bytes(0, 10), payload::bytes(1, 40), 20, clients);
  EXPECT_NE(text.find("at byte 10 of"), std::string::npos) << text;
  EXPECT_NE(text.find("bytes 40 to 47 of what client 2 said"), std::string::npos) << text;
}

TEST(Evidence, the_first_wrong_byte_is_where_it_begins) {
  std::array<Client, 2> clients = two_clients();
  std::array<std::uint8_t, 20> came{};
  std::copy_n(payload::bytes(0, 0), 12, came.begin());
  std::copy_n(payload::bytes(0, 50), 8, came.begin() + 12);
  const std::string text =
      wrong_bytes(clients[0], payload::bytes(0, 0), came.data(), came.size(), clients);
  EXPECT_NE(text.find("at byte 12 of"), std::string::npos) << text;
  EXPECT_NE(text.find("bytes 50 to 57 of what the client itself said"), std::string::npos) << text;
}

TEST(Evidence, bytes_that_nobody_said_are_called_so) {
  const std::array<Client, 2> clients = two_clients();
  const std::array<std::uint8_t, 8> came{};
  const std::string text =
      wrong_bytes(clients[0], payload::bytes(0, 0), came.data(), came.size(), clients);
  EXPECT_NE(text.find("received 00 00 00 00 00 00 00 00"), std::string::npos) << text;
  EXPECT_NE(text.find("no client said"), std::string::npos) << text;
}

TEST(Evidence, what_is_more_than_owed_has_nothing_expected) {
  std::array<Client, 2> clients = two_clients();
  clients[0].received = 100;
  const std::string text =
      wrong_bytes(clients[0], payload::bytes(0, 100), payload::bytes(0, 0), 8, clients);
  EXPECT_NE(text.find("at byte 100 of"), std::string::npos) << text;
  EXPECT_NE(text.find("expected nothing more"), std::string::npos) << text;
}

TEST(Evidence, a_lost_tail_is_counted) {
  std::array<Client, 2> clients = two_clients();
  clients[0].received = 99;
  EXPECT_NE(missing_bytes(clients[0], payload::bytes(0, 99), false).find("(1 byte is missing)"),
            std::string::npos);
  clients[0].received = 1;
  const std::string text = missing_bytes(clients[0], payload::bytes(0, 1), true);
  EXPECT_NE(text.find("... (99 bytes are missing)"), std::string::npos) << text;
  EXPECT_NE(text.find("(RST)"), std::string::npos) << text;
}

}  // namespace
}  // namespace harness
