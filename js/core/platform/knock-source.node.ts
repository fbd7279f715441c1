// SPDX-License-Identifier: MIT
// The source of the knock profile's WebAssembly in Node, whose fetch does not read file: addresses.

import { readFile } from 'node:fs/promises'

/** Reads the file. Rejects as readFile does. */
export function knockSource(): Promise<Uint8Array> {
  return readFile(new URL('./countersign-knock.wasm', import.meta.url))
}
