// SPDX-License-Identifier: MIT
// Where the core's WebAssembly files lie in Node, whose fetch does not read file: addresses: beside this file.

import { readFile } from 'node:fs/promises'

/** wholeSource reads the whole core; rejects as readFile does. */
export function wholeSource(): Promise<Uint8Array> {
  return readFile(new URL('../../countersign.wasm', import.meta.url))
}

/** clientSource reads the client's part; rejects as readFile does. */
export function clientSource(): Promise<Uint8Array> {
  return readFile(new URL('../../countersign-client.wasm', import.meta.url))
}

/** fetchSource reads a file: address and fetches any other; rejects as readFile and fetch do. */
export function fetchSource(address: string): Promise<Response | Uint8Array> {
  return address.startsWith('file:') ? readFile(new URL(address)) : fetch(address)
}
