// SPDX-License-Identifier: MIT
// The sources of the core's WebAssembly files in Node: files beside this one. Node's fetch does not read file: addresses.

import { readFile } from 'node:fs/promises'

/** Reads the file of the whole core. Rejects as readFile does. */
export function wholeSource(): Promise<Uint8Array> {
  return readFile(new URL('./countersign.wasm', import.meta.url))
}

/** Reads the file of the client's part. Rejects as readFile does. */
export function clientSource(): Promise<Uint8Array> {
  return readFile(new URL('./countersign-client.wasm', import.meta.url))
}

/** Reads a file: address, and fetches any other. Rejects as readFile and fetch do. */
export function fetchSource(address: string): Promise<Response | Uint8Array> {
  return address.startsWith('file:') ? readFile(new URL(address)) : fetch(address)
}
