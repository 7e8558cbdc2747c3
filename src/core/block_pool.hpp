// The buffers: a fixed number of blocks of one size, in memory obtained once.
//
// A block is lent as a move-only Block whose destructor gives it back, so a loan ends exactly once
// by construction. A block that is not lent is poisoned for AddressSanitizer, and so is the gap
// between two blocks: pooling hides no use-after-free and no overflow from it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace echoproof {

class BlockPool;

// A block on loan, or nothing. The pool must outlive it.
class Block {
 public:
  Block() = default;
  Block(Block&& other) noexcept
      : pool_(std::exchange(other.pool_, nullptr)), index_(other.index_) {}
  Block& operator=(Block&& other) noexcept {
    Block old(std::move(*this));  // given back when this scope ends
    pool_ = std::exchange(other.pool_, nullptr);
    index_ = other.index_;
    return *this;
  }
  ~Block();

  explicit operator bool() const { return pool_ != nullptr; }

  // REQUIRES: not empty. The bytes of the block; what they hold at first is left over from the last
  // loan, so only what was read into them since may leave the process.
  std::span<std::byte> bytes() const;

  // REQUIRES: not empty. 0 to capacity - 1; no two live loans share it.
  std::uint32_t index() const;

 private:
  friend class BlockPool;
  Block(BlockPool* pool, std::uint32_t index) : pool_(pool), index_(index) {}

  BlockPool* pool_ = nullptr;
  std::uint32_t index_ = 0;
};

class BlockPool {
 public:
  // REQUIRES: capacity and block_size (bytes) at least 1. All memory is obtained here, in three
  // allocations, and given back by the destructor; throws std::bad_alloc when it is not to be had.
  BlockPool(std::size_t capacity, std::size_t block_size);
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;

  // REQUIRES: no block is lent.
  ~BlockPool();

  // An empty Block when all are lent: that is the hard limit, not an error.
  Block acquire() noexcept;

  std::size_t capacity() const { return lent_.size(); }
  std::size_t available() const { return free_.size(); }

  // The ledger: loans begun and ended since construction.
  std::uint64_t acquired() const { return acquired_; }
  std::uint64_t released() const { return released_; }

 private:
  friend class Block;
  void release(std::uint32_t index) noexcept;
  std::span<std::byte> bytes_of(std::uint32_t index) const;
  void invariants() const;

  std::size_t block_size_;
  std::size_t stride_;  // from one block to the next: the block, then the gap
  std::unique_ptr<std::byte[]> memory_;
  std::vector<std::uint32_t> free_;  // a stack: the block used last is the warmest
  std::vector<bool> lent_;
  std::uint64_t acquired_ = 0;
  std::uint64_t released_ = 0;
};

}  // namespace echoproof
