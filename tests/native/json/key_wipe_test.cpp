// SPDX-License-Identifier: MIT
// A device key is gone from the memory that held it, wherever it was on its way: each block that is
// given back is searched for it, and so is the key's own place.
#include <malloc.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <cstring>
#include <new>

#include "countersign/json/stats_event.hpp"
#include "support.hpp"

namespace cs = countersign;
using test::Bytes;

namespace {

/// What is searched for: eight bytes of a secret, one after another.
std::string_view sought;
std::size_t sightings = 0;

void search(const void* block, std::size_t size) {
  const std::string_view bytes(static_cast<const char*>(block), size);
  for (std::size_t at = 0; at + 8 <= sought.size(); ++at) {
    sightings += bytes.find(sought.substr(at, 8)) != bytes.npos;
  }
}

}  // namespace

void* operator new(std::size_t size) {
  // As zeros, so that no block holds what another one left.
  if (void* const block = std::calloc(1, size)) return block;
  std::abort();
}
// A sanitizer's own would not belong to this delete.
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return std::calloc(1, size);
}
void operator delete(void* block) noexcept {
  if (block != nullptr && !sought.empty()) search(block, malloc_usable_size(block));
  std::free(block);
}
void operator delete(void* block, std::size_t) noexcept {
  operator delete(block);
}

namespace {

/// leaks counts what work leaves of a key: in blocks given back, and where its StatsKey was.
template <class Work>
std::size_t leaks(std::string_view of, Work work) {
  alignas(cs::StatsKey) static std::uint8_t place[sizeof(cs::StatsKey)];
  std::memset(place, 0, sizeof place);
  sought = of;
  sightings = 0;
  work(place);
  search(place, sizeof place);
  sought = {};
  return sightings;
}

}  // namespace

TEST_CASE("H37 a device key leaves nothing in the memory that held it", "[json]") {
  const std::string text = "k3y-0f-th1s-d3v1c3-wh1ch-1s-l0ng-3n0ugh";
  const std::string other = "an0th3r-k3y-wh1ch-1s-a-l0t-l0ng3r-than-th3-f1rst-0n3-1s";
  const std::string brief = "sh0rt-k3y-0n3";
  for (const std::string& key : {text, brief}) {
    const std::string file = "\xef\xbb\xbf \t\n" + key + "\n \n";
    CAPTURE(key);
    CHECK(leaks(key, [&](std::uint8_t* place) {
            auto* const held = new (place) cs::StatsKey(*cs::StatsKey::import(cs::bytes_of(file)));
            held->~StatsKey();
          }) == 0);
    // Another key takes its place, a longer one and a shorter one.
    for (const std::string& next : {other, text, brief}) {
      if (next == key) continue;
      CHECK(leaks(key, [&](std::uint8_t* place) {
              auto* const held =
                  new (place) cs::StatsKey(*cs::StatsKey::import(cs::bytes_of(file)));
              *held = *cs::StatsKey::import(cs::bytes_of(next));
              search(place, sizeof(cs::StatsKey));
              held->~StatsKey();
            }) == 0);
    }
  }
}

TEST_CASE("H37 the search finds a key that was not wiped", "[json]") {
  const std::string text = "k3y-0f-th1s-d3v1c3-wh1ch-1s-l0ng-3n0ugh";
  CHECK(leaks(text, [&](std::uint8_t*) { const std::string copy(text); }) > 0);
}

TEST_CASE("H37 a key that is assigned to itself stays", "[json]") {
  const std::string text = "k3y-0f-th1s-d3v1c3-wh1ch-1s-l0ng-3n0ugh";
  auto key = *cs::StatsKey::import(cs::bytes_of(text));
  const std::string id = key.device_id();
  const cs::StatsKey& same = key;
  key = same;
  CHECK(key.is_strong());
  CHECK(key.device_id() == id);
}
