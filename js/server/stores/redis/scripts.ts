// SPDX-License-Identifier: MIT
// Lua scripts. They are sent by their hash, and in full when the server does not know them: at first, and after a
// restart.

import { createHash } from 'node:crypto'
import { CountersignError } from '../../../common/errors.ts'
import type { CommandWord } from './client.ts'
import type { SendCommand } from './connection.ts'

/** A script: one atomic step. */
type Script = { readonly source: string; readonly hash: string }

/** Runs a script with keys and arguments. */
export type RunScript = (
  script: Script,
  keys: string[],
  values: (CommandWord | number)[],
  options?: object
) => Promise<unknown>

/** Options of a command whose reply holds bytes: `$` of Redis's protocol is then a Buffer. Version 4 has the second name. */
export const REPLY_AS_BYTES = { typeMapping: { 36: Buffer }, returnBuffers: true }

/** Lua functions: the time of Redis's clock in Unix milliseconds, and a number as text without an exponent. */
export const LUA_CLOCK = `
local function whole(number) return string.format('%.0f', number) end
local function clock()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
`

/** Creates a script from its source. */
export function script(source: string): Script {
  return { source, hash: createHash('sha1').update(source).digest('hex') }
}

/** Creates a way to run scripts that one store can close. After `close`, `run` rejects with ERR_CLOSED. */
export function closableRun(runScript: RunScript): { run: RunScript; close(): void } {
  let isClosed = false
  return {
    async run(...all) {
      if (isClosed) throw new CountersignError('ERR_CLOSED')
      return runScript(...all)
    },
    close() {
      isClosed = true
    }
  }
}

const isUnknownScript = (error: unknown): boolean =>
  String((error as { cause?: Error }).cause?.message ?? (error as Error).message).startsWith('NOSCRIPT')

/** Creates the function that runs scripts over a connection. It rejects as the connection does. */
export function createScriptRunner(send: SendCommand): RunScript {
  return async ({ source, hash }, keys, values, options) => {
    const rest = [
      String(keys.length),
      ...keys,
      ...values.map((value) => (Buffer.isBuffer(value) ? value : String(value)))
    ]
    try {
      return await send(['EVALSHA', hash, ...rest], options)
    } catch (error) {
      if (!isUnknownScript(error)) throw error
      return send(['EVAL', source, ...rest], options)
    }
  }
}
