// SPDX-License-Identifier: MIT
// Deadlines. No store, signer, body or handler that the gateway waits for can hang it.

import { SIGNATURE_BYTES } from '../../common/algorithms.ts'
import { copyOf, sizedBytesOf } from '../../core/args.ts'

/** A wait that took longer than its deadline. */
export class DeadlineError extends Error {
  override name = 'DeadlineError'
}

/**
 * Resolves to the result of `work`. Rejects with a DeadlineError after `ms` milliseconds, and drops a result that comes
 * later. An exception of `work` becomes a rejection. `name` is the subject of the error's message.
 */
export function within<T>(ms: number, name: string, work: () => T | PromiseLike<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new DeadlineError(`${name} did not answer within ${ms} ms`)), ms)
    const settle = (finish: () => void) => {
      clearTimeout(timer)
      finish()
    }
    try {
      Promise.resolve(work()).then(
        (value) => settle(() => resolve(value)),
        (error) => settle(() => reject(error))
      )
    } catch (error) {
      settle(() => reject(error))
    }
  })
}

// A copy: a signer may use its buffer again.
const signatureOf = (value: unknown): Uint8Array =>
  copyOf(sizedBytesOf(value, SIGNATURE_BYTES, 'the signature'), 'the signature')

/**
 * Signs bytes. Rejects with a DeadlineError when the signer needs more than `ms` milliseconds, and with
 * ERR_INVALID_ARGUMENT when it returns anything but 64 bytes. A signer that returns the signature itself, and no promise,
 * costs no timer.
 */
export function signWithin(
  ms: number,
  signer: { sign(bytes: Uint8Array): Uint8Array | Promise<Uint8Array> },
  bytes: Uint8Array
): Uint8Array | Promise<Uint8Array> {
  const signature = signer.sign(bytes)
  if (ArrayBuffer.isView(signature)) return signatureOf(signature)
  return within(ms, 'the signer', () => signature).then(signatureOf)
}

/** Calls `listener` once: when the bell rings, or at once if it has rung. Returns the function that stops listening. */
export type Listen = (listener: () => void) => () => void

/** A signal that is given once. It does the work of an AbortSignal at the cost of a function call. */
export type Bell = { ring(): void; listen: Listen }

/** Returns a bell that has not rung. */
export function createBell(): Bell {
  const listeners = new Set<() => void>()
  let hasRung = false
  return {
    ring() {
      if (hasRung) return
      hasRung = true
      for (const listener of [...listeners]) listener()
      listeners.clear()
    },
    listen(listener) {
      if (hasRung) listener()
      else listeners.add(listener)
      return () => void listeners.delete(listener)
    }
  }
}
