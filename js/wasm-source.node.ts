// SPDX-License-Identifier: MIT
// Where the core's WebAssembly file lies in Node, whose fetch does not read file: addresses.

import { readFile } from 'node:fs/promises'

/** defaultSource reads countersign.wasm beside this file; rejects as readFile does. */
export const defaultSource = (): Promise<Uint8Array> => readFile(new URL('./countersign.wasm', import.meta.url))

/** fetchSource reads a file: address and fetches any other; rejects as readFile and fetch do. */
export const fetchSource = (address: string): Promise<Response | Uint8Array> =>
  address.startsWith('file:') ? readFile(new URL(address)) : fetch(address)
