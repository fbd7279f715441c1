// SPDX-License-Identifier: MIT
// Where the knock profile's WebAssembly lies in browsers: beside dist/. A file of its own, so that nobody else's bundle names it.

/** knockSource gives its address. */
export function knockSource(): URL {
  return new URL('../../countersign-knock.wasm', import.meta.url)
}
