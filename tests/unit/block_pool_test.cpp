// BlockPool and Block: the limit, the ledger, moves, and what AddressSanitizer sees of it.
#include "core/block_pool.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <new>
#include <set>
#include <type_traits>
#include <utility>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#define ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ADDRESS_SANITIZER 1
#endif
#endif

namespace echoproof {
namespace {

// A loan has one owner, and a pool stays where its loans know it to be.
static_assert(!std::is_copy_constructible_v<Block>);
static_assert(!std::is_copy_assignable_v<Block>);
static_assert(std::is_nothrow_move_constructible_v<Block>);
static_assert(!std::is_copy_constructible_v<BlockPool>);
static_assert(!std::is_copy_assignable_v<BlockPool>);

TEST(BlockPool, LendsAsManyBlocksAsItHas) {
  BlockPool pool(3, 16);
  std::vector<Block> blocks;
  for (int i = 0; i < 3; ++i) {
    blocks.push_back(pool.acquire());
    EXPECT_TRUE(static_cast<bool>(blocks.back()));
  }
  EXPECT_EQ(pool.available(), 0U);
  EXPECT_FALSE(static_cast<bool>(pool.acquire()));
}

TEST(BlockPool, WithoutBlocksHasNothingToLend) {
  BlockPool pool(0, 16);
  EXPECT_FALSE(static_cast<bool>(pool.acquire()));
  EXPECT_EQ(pool.capacity(), 0U);
  EXPECT_EQ(pool.available(), 0U);
}

TEST(BlockPool, CountsWhatIsLent) {
  BlockPool pool(2, 16);
  const Block block = pool.acquire();
  EXPECT_EQ(pool.lent(), 1U);
}

TEST(BlockPool, CountsAnEmptyAnswerAsNoLoan) {
  BlockPool pool(1, 16);
  const Block only = pool.acquire();
  static_cast<void>(pool.acquire());
  EXPECT_EQ(pool.acquired(), 1U);
  EXPECT_EQ(pool.released(), 0U);
}

TEST(BlockPool, LendsAgainWhatCameBack) {
  BlockPool pool(1, 16);
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(static_cast<bool>(pool.acquire()));
  EXPECT_EQ(pool.acquired(), 5U);
  EXPECT_EQ(pool.released(), 5U);
  EXPECT_EQ(pool.available(), 1U);
}

TEST(BlockPool, LendsTheBlockUsedLastFirst) {
  BlockPool pool(3, 16);
  Block a = pool.acquire();
  const Block b = pool.acquire();
  const std::uint32_t index = a.index();
  a = Block();
  EXPECT_EQ(pool.acquire().index(), index);
}

TEST(BlockPool, GivesEachLoanAnIndexOfItsOwn) {
  BlockPool pool(4, 1);
  std::vector<Block> blocks;
  std::set<std::uint32_t> indices;
  for (int i = 0; i < 4; ++i) {
    blocks.push_back(pool.acquire());
    EXPECT_LT(blocks.back().index(), pool.capacity());
    EXPECT_TRUE(indices.insert(blocks.back().index()).second);
  }
}

TEST(BlockPool, KeepsAGapBetweenBlocksOfEverySize) {
  for (const std::size_t size : {1U, 63U, 64U, 65U, 100U, 4096U}) {
    BlockPool pool(2, size);
    const Block a = pool.acquire();
    const Block b = pool.acquire();
    ASSERT_EQ(a.bytes().size(), size);
    const std::byte* const low = std::min(a.bytes().data(), b.bytes().data());
    const std::byte* const high = std::max(a.bytes().data(), b.bytes().data());
    EXPECT_GE(high - low, static_cast<std::ptrdiff_t>(size + 64)) << size;
    EXPECT_EQ((high - low) % 64, 0) << size;
  }
}

// An address 16 bytes into a page made the kernel's copies of 64 KiB take three times as long.
TEST(BlockPool, BeginsEachBlockWithACacheLine) {
  for (const std::size_t size : {1U, 63U, 64U, 65U, 65'536U}) {
    BlockPool pool(3, size);
    std::vector<Block> blocks;
    while (Block block = pool.acquire()) {
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block.bytes().data()) % 64, 0U) << size;
      blocks.push_back(std::move(block));
    }
  }
}

TEST(BlockPool, LendsBytesThatCanAllBeWritten) {
  BlockPool pool(2, 100);
  const Block a = pool.acquire();
  const Block b = pool.acquire();
  std::ranges::fill(a.bytes(), std::byte{1});
  std::ranges::fill(b.bytes(), std::byte{2});
  EXPECT_EQ(std::ranges::count(a.bytes(), std::byte{1}), 100);
}

TEST(BlockPool, IsRefusedMoreBlocksThanAnIndexCanName) {
  EXPECT_THROW(BlockPool(std::size_t{std::numeric_limits<std::uint32_t>::max()} + 1, 1),
               std::bad_alloc);
}

TEST(Block, IsEmptyUnlessLent) {
  const Block block;
  EXPECT_FALSE(static_cast<bool>(block));
}

TEST(Block, KnowsWhosePoolItIsOf) {
  BlockPool pool(1, 16);
  BlockPool other(1, 16);
  const Block block = pool.acquire();
  EXPECT_TRUE(block.is_of(pool));
  EXPECT_FALSE(block.is_of(other));
}

TEST(BlockPool, TakesAsMuchMemoryForABlockAsItsStride) {
  for (const std::size_t size : {1U, 63U, 64U, 65U, 1024U}) {
    BlockPool pool(2, size);
    const Block a = pool.acquire();
    const Block b = pool.acquire();
    const std::ptrdiff_t apart = a.bytes().data() - b.bytes().data();
    EXPECT_EQ(static_cast<std::size_t>(apart < 0 ? -apart : apart), BlockPool::stride_of(size));
  }
}

TEST(Block, TakesTheLoanAlongWhenMoved) {
  BlockPool pool(2, 16);
  Block from = pool.acquire();
  const std::uint32_t index = from.index();
  const Block to(std::move(from));
  EXPECT_FALSE(static_cast<bool>(from));  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(to.index(), index);
  EXPECT_EQ(pool.available(), 1U);
}

TEST(Block, GivesBackWhatItHeldWhenAssignedTo) {
  BlockPool pool(2, 16);
  Block a = pool.acquire();
  Block b = pool.acquire();
  const std::uint32_t index = b.index();
  a = std::move(b);
  EXPECT_EQ(a.index(), index);
  EXPECT_FALSE(static_cast<bool>(b));  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(pool.released(), 1U);
}

TEST(Block, KeepsItsLoanWhenMovedOntoItself) {
  BlockPool pool(1, 16);
  Block block = pool.acquire();
  Block& same = block;
  block = std::move(same);
  EXPECT_TRUE(static_cast<bool>(block));
  EXPECT_EQ(pool.released(), 0U);
}

TEST(BlockPoolDeathTest, RefusesABlockSizeOfZero) {
  EXPECT_DEATH(BlockPool(1, 0), "assertion failed: block_size >= 1");
}

TEST(BlockPoolDeathTest, MustNotEndBeforeItsLoans) {
  EXPECT_DEATH(
      {
        auto* const pool = new BlockPool(1, 16);
        const Block block = pool->acquire();
        delete pool;
      },
      "assertion failed: available\\(\\) == capacity\\(\\)");
}

TEST(BlockPoolDeathTest, NoticesABlockThatIsGivenBackTwice) {
  EXPECT_DEATH(
      {
        BlockPool pool(2, 16);
        Block block = pool.acquire();
        alignas(Block) unsigned char copy[sizeof(Block)];  // what C++ does not let us do by mistake
        std::copy_n(reinterpret_cast<unsigned char*>(&block), sizeof copy, copy);
        reinterpret_cast<Block*>(copy)->~Block();
      },
      "assertion failed: lent_\\[index\\]");
}

TEST(BlockDeathTest, HasNoBytesWhenEmpty) {
  EXPECT_DEATH(static_cast<void>(Block().bytes()), "assertion failed: pool_ != nullptr");
}

TEST(BlockDeathTest, HasNoIndexWhenEmpty) {
  EXPECT_DEATH(static_cast<void>(Block().index()), "assertion failed: pool_ != nullptr");
}

#ifdef ADDRESS_SANITIZER

std::byte read_from(const std::byte* address) {
  return *static_cast<const volatile std::byte*>(address);
}

TEST(BlockPoolPoisonDeathTest, ABlockThatWasGivenBackCannotBeRead) {
  BlockPool pool(1, 16);
  const std::byte* const bytes = pool.acquire().bytes().data();
  EXPECT_DEATH(read_from(bytes), "use-after-poison");
  EXPECT_DEATH(read_from(bytes + 15), "use-after-poison");
}

TEST(BlockPoolPoisonDeathTest, ABlockThatWasNeverLentCannotBeRead) {
  BlockPool pool(2, 16);
  const Block block = pool.acquire();
  EXPECT_DEATH(read_from(block.bytes().data() + 128), "use-after-poison");
}

TEST(BlockPoolPoisonDeathTest, TheByteAfterABlockCannotBeRead) {
  for (const std::size_t size : {1U, 7U, 64U, 100U}) {
    BlockPool pool(2, size);
    const Block block = pool.acquire();
    EXPECT_DEATH(read_from(block.bytes().data() + size), "use-after-poison") << size;
  }
}

TEST(BlockPoolPoison, LeavesNoPoisonBehind) {
  // The allocator lends the same memory again; it must be readable.
  for (int i = 0; i < 3; ++i) {
    {
      BlockPool pool(4, 100);
    }
    std::vector<std::byte> fresh(1024);
    EXPECT_EQ(std::ranges::count(fresh, std::byte{0}), 1024);
  }
}

#endif

}  // namespace
}  // namespace echoproof
