// SPDX-License-Identifier: MIT
// The input of the command: a file, standard input, or the text itself, in any encoding in which it was copied.

import { createReadStream } from 'node:fs'
import { CountersignError } from '../common/errors.ts'
import { encodeText, tryDecodeText } from '../common/text.ts'
import type { Bytes } from '../common/types.ts'

/** A mistake of the person at the command line. Its message is the one line that they read. */
export class CliError extends Error {
  override name = 'CliError'
}

/** Far more than any message has. An endless device must not fill the memory. */
const MAX_INPUT = 64 * 1024 * 1024

async function readAll(source: AsyncIterable<unknown>): Promise<Bytes> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of source) {
    size += (chunk as Buffer).length
    if (size > MAX_INPUT) throw new CliError('the input is larger than 64 MiB')
    chunks.push(chunk as Buffer)
  }
  return new Uint8Array(Buffer.concat(chunks))
}

/**
 * Reads `-` as standard input, and `@FILE` or the name of an existing file as that file. Any other argument is the
 * text itself.
 * Rejects with a CliError when a file cannot be read.
 */
export async function readSource(argument: string): Promise<Bytes> {
  if (argument === '-') return readAll(process.stdin)
  const path = argument.startsWith('@') ? argument.slice(1) : argument
  try {
    return await readAll(createReadStream(path))
  } catch (cause) {
    if (cause instanceof CliError) throw cause
    const { code } = cause as NodeJS.ErrnoException
    const isNoFile =
      code === 'ENOENT' || code === 'ENAMETOOLONG' || code === 'ENOTDIR' || code === 'ERR_INVALID_ARG_VALUE'
    if (!isNoFile || argument.startsWith('@')) throw new CliError(`cannot read ${path} (${code})`)
    return encodeText(argument)
  }
}

/**
 * Returns the byte strings that an input may mean: itself, and its content decoded from an event's line, hex or
 * base64.
 */
export function spellings(bytes: Bytes): Bytes[] {
  const text = tryDecodeText(bytes)
    ?.trim()
    .replace(/^(?:data|countersign):\s*/i, '')
  if (text === undefined || text === '') return [bytes]
  const all = [bytes]
  const digits = text.replace(/\s+/g, '')
  if (/^(?:[0-9a-fA-F]{2})+$/.test(digits)) all.push(new Uint8Array(Buffer.from(digits, 'hex')))
  if (/^[A-Za-z0-9+/_-]+={0,2}$/.test(digits))
    all.push(new Uint8Array(Buffer.from(digits.replaceAll('-', '+').replaceAll('_', '/'), 'base64')))
  return all
}

/** Escapes everything outside printable ASCII. */
export function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** Writes bytes in hex. Long ones are cut after `most` bytes. */
export function hexOf(bytes: Uint8Array, most = 64): string {
  const hex = Buffer.from(bytes.subarray(0, most)).toString('hex')
  return bytes.length > most ? `${hex}… (${bytes.length} bytes)` : hex
}

/** Describes an error in one line. */
export function lineOf(error: unknown): string {
  if (error instanceof CliError) return error.message
  if (error instanceof CountersignError) return `${error.code}: ${error.message}`
  return String((error as Error | undefined)?.message ?? error)
}
