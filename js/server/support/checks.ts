// SPDX-License-Identifier: MIT
// Checks options once, at creation: a mistake is a typed error with a hint, never a surprise later.

import { badArgument, sizedBytesOf } from '../../core/args.ts'

/** Checks that an option is an object with these functions. Throws ERR_INVALID_ARGUMENT otherwise. */
export function partOf(value: unknown, functions: readonly string[], hint: string): void {
  const isObject = typeof value === 'object' && value !== null
  if (!isObject || !functions.every((name) => typeof Reflect.get(value, name) === 'function')) throw badArgument(hint)
}

/** Checks a ServerSigner. Throws ERR_INVALID_ARGUMENT when it is not one. */
export function checkSigner(signer: unknown): void {
  const hint = 'signer must have keyId, publicKey (32 bytes) and sign(); serverKeyFile makes one'
  partOf(signer, ['sign'], hint)
  const { keyId, publicKey } = signer as { keyId: unknown; publicKey: unknown }
  if (typeof keyId !== 'string' || !isBytes(publicKey, 32)) throw badArgument(hint)
}

/** Tells whether a value is `size` bytes. A text or an array of that length is not. */
export function isBytes(value: unknown, size: number): value is Uint8Array {
  try {
    return sizedBytesOf(value, size, 'bytes') === value
  } catch {
    return false
  }
}

/** Checks that an option is a function or absent. Throws ERR_INVALID_ARGUMENT otherwise. */
export function functionOf(value: unknown, name: string): void {
  if (value !== undefined && typeof value !== 'function') throw badArgument(`${name} must be a function`)
}

/**
 * Calls a hook of the application. A hook that throws, or whose promise rejects, changes nothing and ends no process.
 * `onFault` gets the exception.
 */
export function callHook(call: () => unknown, onFault: (error: unknown) => void = () => {}): void {
  try {
    const answer = call()
    // A hook may be an async function. Its rejection would be unhandled without this.
    if (typeof answer === 'object' && answer !== null) Promise.resolve(answer).catch(onFault)
  } catch (error) {
    // A fault of a hook must not become a fault of the request.
    onFault(error)
  }
}
