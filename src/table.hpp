// SPDX-License-Identifier: MIT
// A hash table that grows in small steps, never moves what it holds, and refuses where there is no
// memory.
#pragma once

#include <bit>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>

#include "countersign/sha256.hpp"

namespace countersign {

/// Index numbers the nodes of a table from 1; 0 is none.
using Index = std::uint32_t;

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};

/// Zeroed is an array of zeros; empty where there is no memory. (new (std::nothrow) aborts in
/// WebAssembly builds without exceptions.)
template <class T>
using Zeroed = std::unique_ptr<T[], Free>;

template <class T>
Zeroed<T> allocate_zeroed(std::size_t count) {
  return Zeroed<T>(static_cast<T*>(std::calloc(count, sizeof(T))));
}

/// Blocks is an array that grows by one block at a time. An element begins as zeros, and never
/// moves.
template <class T>
class Blocks {
 public:
  Blocks() = default;
  Blocks(const Blocks&) = delete;
  Blocks& operator=(const Blocks&) = delete;
  ~Blocks() {
    while (count_ > 0) std::free(blocks_[--count_]);
  }

  /// allocate makes the list of blocks for at most `most` elements, and no block yet.
  bool allocate(std::size_t most) {
    blocks_ = allocate_zeroed<T*>(most / block_size + 1);
    return blocks_ != nullptr;
  }

  /// reach says whether there is room for `count` elements, and makes it where there is memory.
  bool reach(std::size_t count) {
    while (count_ * block_size < count) {
      T* const block = allocate_zeroed<T>(block_size).release();
      if (block == nullptr) return false;
      blocks_[count_++] = block;
    }
    return true;
  }

  T& operator[](std::size_t at) { return blocks_[at / block_size][at % block_size]; }

 private:
  static constexpr std::size_t block_size = 256;

  Zeroed<T*> blocks_;
  std::size_t count_ = 0;
};

/// Table is a hash table of at most a fixed number of nodes, chained by index. It has as many
/// buckets as it has ever had nodes: each new node splits one bucket in two, so no step is long.
template <class Node>
class Table {
 public:
  bool allocate(std::size_t capacity, std::uint64_t seed) {
    multiplier_ = (seed ^ 0x9e3779b97f4a7c15) | 1;
    return nodes_.allocate(capacity + 1) && buckets_.allocate(capacity);
  }

  Node& operator[](Index index) { return nodes_[index]; }
  std::size_t size() const { return size_; }

  Index find(const Hash& key) {
    if (touched_ == 0) return 0;
    Index index = bucket(key);
    while (index != 0 && nodes_[index].key != key) index = nodes_[index].next;
    return index;
  }

  /// has_room says whether one more node can be inserted. It changes nothing where there is no
  /// memory.
  bool has_room() {
    return free_ != 0 || (nodes_.reach(touched_ + 2) && buckets_.reach(touched_ + 1));
  }

  /// The caller knows that there is room and that key is not there.
  Index insert(const Hash& key) {
    if (free_ == 0) split();
    const Index index = free_ != 0 ? std::exchange(free_, nodes_[free_].next) : touched_;
    Index& head = bucket(key);
    nodes_[index] = Node{};
    nodes_[index].key = key;
    nodes_[index].next = std::exchange(head, index);
    ++size_;
    return index;
  }

  void erase(Index index) {
    Index* link = &bucket(nodes_[index].key);
    while (*link != index) link = &nodes_[*link].next;
    *link = nodes_[index].next;
    nodes_[index].next = std::exchange(free_, index);
    --size_;
  }

 private:
  Index& bucket(const Hash& key) { return buckets_[slot(key)]; }

  std::size_t slot(const Hash& key) const {
    std::uint64_t words[hash_size / 8];
    std::memcpy(words, key.data(), sizeof words);
    std::uint64_t mixed = 0;
    for (const std::uint64_t word : words) {
      mixed = (mixed ^ word) * multiplier_;
      mixed ^= mixed >> 32;
    }
    const std::size_t mask = std::bit_ceil(touched_) - 1;
    const auto wide = static_cast<std::size_t>(mixed * multiplier_ >> 32) & mask;
    return wide < touched_ ? wide : wide & mask >> 1;
  }

  /// split adds one node and one bucket, and moves into it what belongs there.
  void split() {
    const std::size_t added = touched_++;
    if (added == 0) return;
    for (Index* link = &buckets_[added - std::bit_floor(added)]; *link != 0;) {
      const Index index = *link;
      Node& node = nodes_[index];
      if (slot(node.key) == added) {
        *link = node.next;
        node.next = std::exchange(buckets_[added], index);
      } else {
        link = &node.next;
      }
    }
  }

  Blocks<Node> nodes_;
  Blocks<Index> buckets_;
  std::uint64_t multiplier_ = 0;
  Index free_ = 0;
  /// Nodes that were ever in use, and buckets.
  Index touched_ = 0;
  std::size_t size_ = 0;
};

}  // namespace countersign
