// SPDX-License-Identifier: MIT
// Wipes what functions that work on secrets leave on the stack: their variables, and the registers
// that the compiler puts aside. Nothing here is part of the public interface.
#pragma once

#include <array>

#include "countersign/bytes.hpp"

namespace countersign {

/// wipe_stack makes Size bytes below the caller's frame zeros, where the functions that it called
/// before had theirs. What they need has to fit into Size.
template <std::size_t Size>
[[gnu::noinline]] void wipe_stack() {
  std::array<std::uint8_t, Size> below;
  wipe(below);
}

}  // namespace countersign
