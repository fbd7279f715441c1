// SPDX-License-Identifier: MIT
// What the tests of the replay guard share: keys, guards, and the model.
#pragma once

#include <catch2/catch.hpp>

#include "replay_model.hpp"
#include "support.hpp"

namespace test {

inline cs::Hash key(std::uint64_t number) {
  std::array<std::uint8_t, 8> bytes{};
  for (std::uint8_t& byte : bytes)
    byte = static_cast<std::uint8_t>(std::exchange(number, number >> 8));
  return cs::sha256(bytes);
}

inline ReplayGuard guard(const cs::ReplayOptions& options) {
  auto made = ReplayGuard::create(options);
  REQUIRE(made.ok());
  return std::move(*made);
}

}  // namespace test
