// Numeric addresses, as people write them and as they come back.
#include "uv/address.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <initializer_list>

namespace echoproof {
namespace {

class RoundTrip : public testing::TestWithParam<const char*> {};

TEST_P(RoundTrip, ComesBackAsItWasWritten) {
  sockaddr_storage address;
  ASSERT_TRUE(parse_address(GetParam(), 7000, address));
  EXPECT_EQ(host_of(address), GetParam());
  EXPECT_EQ(port_of(address), 7000);
}

INSTANTIATE_TEST_SUITE_P(Address, RoundTrip,
                         testing::Values("127.0.0.1", "0.0.0.0", "255.255.255.255", "::", "::1",
                                         "2001:db8::1"));

class Rejected : public testing::TestWithParam<const char*> {};

TEST_P(Rejected, IsNoAddress) {
  sockaddr_storage address;
  EXPECT_FALSE(parse_address(GetParam(), 7000, address));
}

INSTANTIATE_TEST_SUITE_P(Address, Rejected,
                         testing::Values("", "localhost", "127.0.0", "127.0.0.256", "127.0.0.1:80",
                                         "1.2.3.4.5", ":::", "[::1]", "12345::", " 127.0.0.1"));

TEST(Address, KeepsEveryPort) {
  for (const std::uint16_t port : std::initializer_list<std::uint16_t>{0, 1, 7000, 65535}) {
    sockaddr_storage address;
    ASSERT_TRUE(parse_address("127.0.0.1", port, address));
    EXPECT_EQ(port_of(address), port);
    ASSERT_TRUE(parse_address("::1", port, address));
    EXPECT_EQ(port_of(address), port);
  }
}

TEST(Address, SaysWhichFamilyItIs) {
  sockaddr_storage address;
  ASSERT_TRUE(parse_address("127.0.0.1", 1, address));
  EXPECT_EQ(address.ss_family, AF_INET);
  ASSERT_TRUE(parse_address("::1", 1, address));
  EXPECT_EQ(address.ss_family, AF_INET6);
}

}  // namespace
}  // namespace echoproof
