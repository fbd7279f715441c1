// SPDX-License-Identifier: MIT
// Signing inputs of every kind taken apart, from the table they are written by.

import { lengthOf } from './core-args.ts'
import { ALGORITHMS, KINDS, type Kind, MESSAGES } from './core-messages.ts'
import type { Wasm } from './core-wasm.ts'
import type { SigningFields } from './types.ts'

const readMessage = (w: Wasm, kind: Kind): SigningFields => {
  const { numbers, texts, bytes } = MESSAGES[kind]
  const fields: { [name: string]: unknown } = { kind }
  let at = 0
  for (const name of numbers) {
    const value = w.number(at++)
    fields[name] = name === 'algorithm' ? ALGORITHMS[value] : value
  }
  fields[bytes] = w.bytesAt(at)
  for (const name of texts) {
    at += 2
    fields[name] = w.textAt(at)
  }
  return fields as SigningFields
}

/** parseMessage takes apart a signing input of any kind; throws what is malformed. */
export const parseMessage = (w: Wasm, input: Uint8Array): SigningFields =>
  w.large(lengthOf(input), false, () =>
    readMessage(w, KINDS[w.check(w.call.parse_signing_input(w.put(input)))] as Kind)
  )
