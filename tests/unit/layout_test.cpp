// Layout: how the memory for buffers is divided, at its boundaries.
#include <gtest/gtest.h>

#include <cstddef>

#include "core/service.hpp"

namespace echoproof {
namespace {

constexpr std::size_t stride(std::size_t size) { return BlockPool::stride_of(size); }

Layout layout_of(std::size_t connections, std::size_t memory, std::size_t block_size) {
  return Layout({.connections = connections,
                 .buffer_memory = memory,
                 .block_size = block_size,
                 .kernel_memory = KernelBudget::unlimited,
                 .tuned_socket = 1,
                 .idle = Time(1),
                 .write = Time(1)});
}

std::size_t bytes_of(const Layout& layout) {
  return layout.small_count * stride(layout.small_size) +
         layout.large_count * stride(layout.large_size) + layout.scratch_size;
}

class EveryBlockSize : public testing::TestWithParam<std::size_t> {};

TEST_P(EveryBlockSize, KeepsToTheMemoryThatItWasGiven) {
  const std::size_t size = GetParam();
  for (const std::size_t connections : {1U, 2U, 7U, 100U}) {
    for (std::size_t memory = 1; memory < 100'000'000; memory = memory * 3 + 1) {
      if (connections > Layout::connections_max(memory, size)) continue;
      const Layout layout = layout_of(connections, memory, size);
      EXPECT_LE(bytes_of(layout), memory) << connections << ' ' << memory;
      EXPECT_EQ(layout.small_count, connections);
      EXPECT_LE(layout.large_count, connections);
    }
  }
}

TEST_P(EveryBlockSize, OffersNoLargerReadThanCanBeKept) {
  const std::size_t size = GetParam();
  const Layout small = layout_of(1, 2 * stride(std::min(size, small_block_size)), size);
  EXPECT_EQ(small.scratch_size, small.small_size);
  EXPECT_EQ(small.large_count, 0U);
  const Layout large = layout_of(1, 10 * stride(size) + 10 * stride(small_block_size), size);
  EXPECT_EQ(large.scratch_size, large.large_count > 0 ? size : large.small_size);
}

TEST_P(EveryBlockSize, HasMemoryForExactlyOneConnection) {
  const std::size_t size = GetParam();
  const std::size_t one = 2 * stride(std::min(size, small_block_size));
  EXPECT_EQ(Layout::connections_max(one, size), 1U);
  EXPECT_EQ(Layout::connections_max(one - 1, size), 0U);
  EXPECT_EQ(layout_of(1, one, size).small_count, 1U);
}

INSTANTIATE_TEST_SUITE_P(Layout, EveryBlockSize,
                         testing::Values(1, 64, small_block_size - 1, small_block_size,
                                         small_block_size + 1, 65'536));

TEST(Layout, HasSmallBlocksOnlyWhereLargeOnesAreNoLarger) {
  const Layout equal = layout_of(2, 1'000'000, small_block_size);
  EXPECT_EQ(equal.small_size, small_block_size);
  EXPECT_EQ(equal.large_count, 0U);
  const Layout tiny = layout_of(2, 1'000'000, 1);
  EXPECT_EQ(tiny.small_size, 1U);
  EXPECT_EQ(tiny.scratch_size, 1U);
  EXPECT_EQ(tiny.large_count, 0U);
}

TEST(Layout, KeepsOneLargeBlockForTheScratchBuffer) {
  const std::size_t small = 2 * stride(small_block_size);
  EXPECT_EQ(layout_of(2, small + 2 * stride(65'536), 65'536).large_count, 1U);
  EXPECT_EQ(layout_of(2, small + 2 * stride(65'536) - 1, 65'536).large_count, 0U);
}

TEST(Layout, HasNoMoreLargeBlocksThanConnections) {
  EXPECT_EQ(layout_of(3, 100'000'000, 65'536).large_count, 3U);
}

TEST(Layout, SparesHalfOfTheMemoryFromSmallBlocks) {
  EXPECT_EQ(Layout::connections_max(1000 * stride(small_block_size), 65'536), 500U);
}

TEST(LayoutDeathTest, RefusesWhatNoConnectionFitsInto) {
  EXPECT_DEATH(layout_of(2, 2 * stride(1), 1), "assertion failed: limits.connections <=");
}

TEST(LayoutDeathTest, RefusesBlocksOfNoSizeAndThoseThatAWriteCannotCarry) {
  EXPECT_DEATH(layout_of(1, 1'000'000, 0), "assertion failed: limits.block_size >= 1");
  EXPECT_DEATH(layout_of(1, 1'000'000, block_size_max + 1),
               "assertion failed: limits.block_size <= block_size_max");
}

}  // namespace
}  // namespace echoproof
