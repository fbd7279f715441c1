// SPDX-License-Identifier: MIT
// Embind, as the declaration of what JavaScript can call; each WebAssembly has one file that
// includes it. js/core/load.ts is its other side and puts each name and its function together. Only
// numbers cross, and WebAssembly converts those itself. So libembind is not linked: its conversions
// would be most of a download.
#pragma once

#include <emscripten/bind.h>

#include "io.hpp"

namespace emscripten::internal {
// Later releases of Embind keep a list of all bindings, for threads that start later; there are
// none.
extern "C" void _embind_register_bindings(struct InitFunc*) {}
}  // namespace emscripten::internal

namespace countersign::wasm {

/// declare_border declares what js/core/wasm.ts calls of every WebAssembly.
inline void declare_border() {
  using emscripten::function;
  function("abi", &abi);
  function("io_address", &io_address);
  function("out_address", &out_address);
  function("table_address", &table_address);
  function("reserve", &reserve);
}

}  // namespace countersign::wasm
