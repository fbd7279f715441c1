// SPDX-License-Identifier: MIT
// What callers pass in is checked once, at creation: a mistake is a typed error with a hint, never a surprise later.

import { badArgument } from '../../core/args.ts'

/** partOf checks that an option has the functions it is used for, or throws ERR_INVALID_ARGUMENT. */
export function partOf(value: unknown, functions: readonly string[], hint: string): void {
  const isObject = typeof value === 'object' && value !== null
  if (!isObject || !functions.every((name) => typeof Reflect.get(value, name) === 'function')) throw badArgument(hint)
}

/** checkSigner checks a ServerSigner, or throws ERR_INVALID_ARGUMENT. */
export function checkSigner(signer: unknown): void {
  const hint = 'signer must have keyId, publicKey (32 bytes) and sign(); serverKeyFile makes one'
  partOf(signer, ['sign'], hint)
  const { keyId, publicKey } = signer as { keyId: unknown; publicKey?: { length?: unknown } }
  if (typeof keyId !== 'string' || publicKey?.length !== 32) throw badArgument(hint)
}

/** functionOf checks an option that is a function where there is one, or throws ERR_INVALID_ARGUMENT. */
export function functionOf(value: unknown, name: string): void {
  if (value !== undefined && typeof value !== 'function') throw badArgument(`${name} must be a function`)
}

/** callHook calls a hook of the application: one that throws, or whose promise rejects, changes nothing and ends no process. */
export function callHook(call: () => unknown): void {
  try {
    const answer = call()
    // An async function is a hook as well; nobody else would hear its rejection.
    if (typeof answer === 'object' && answer !== null) Promise.resolve(answer).catch(() => {})
  } catch {
    // A hook's fault is nobody else's.
  }
}
