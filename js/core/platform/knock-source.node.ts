// SPDX-License-Identifier: MIT
// Where the knock profile's WebAssembly lies in Node, whose fetch does not read file: addresses.

import { readFile } from 'node:fs/promises'

/** knockSource reads it; rejects as readFile does. */
export function knockSource(): Promise<Uint8Array> {
  return readFile(new URL('../../countersign-knock.wasm', import.meta.url))
}
