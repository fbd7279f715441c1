// SPDX-License-Identifier: MIT
// The source of the knock profile's WebAssembly in browsers: a file beside this one. This module stands alone, so that other
// bundles do not name the file.

/** Returns the file's address. */
export function knockSource(): URL {
  return new URL('./countersign-knock.wasm', import.meta.url)
}
