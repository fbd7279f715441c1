// SPDX-License-Identifier: MIT
// Lua scripts, sent by their hash and in full where the server does not know them (yet, or after a restart).

import { createHash } from 'node:crypto'
import { CountersignError } from '../../../common/errors.ts'
import type { Word } from './client.ts'
import type { Ask } from './connection.ts'

/** A script: one step that nothing comes between. */
export type Script = { readonly source: string; readonly hash: string }

/** Runs a script with keys and arguments. */
export type Run = (script: Script, keys: string[], values: (Word | number)[], options?: object) => Promise<unknown>

/** script makes one of its source. */
export function script(source: string): Script {
  return { source, hash: createHash('sha1').update(source).digest('hex') }
}

/** closable makes a way to run scripts that can be closed for itself; what is run after that rejects with ERR_CLOSED. */
export function closable(run: Run): { ask: Run; close(): void } {
  let isClosed = false
  return {
    async ask(...all) {
      if (isClosed) throw new CountersignError('ERR_CLOSED')
      return run(...all)
    },
    close() {
      isClosed = true
    }
  }
}

const isUnknown = (error: unknown): boolean =>
  String((error as { cause?: Error }).cause?.message ?? (error as Error).message).startsWith('NOSCRIPT')

/** createRun makes the way to run scripts over a connection; what it gives rejects as the connection does. */
export function createRun(ask: Ask): Run {
  return async ({ source, hash }, keys, values, options) => {
    const rest = [
      String(keys.length),
      ...keys,
      ...values.map((value) => (Buffer.isBuffer(value) ? value : String(value)))
    ]
    try {
      return await ask(['EVALSHA', hash, ...rest], options)
    } catch (error) {
      if (!isUnknown(error)) throw error
      return ask(['EVAL', source, ...rest], options)
    }
  }
}
