// SPDX-License-Identifier: MIT
// The device key of a program: a file that only its user can read.

import { randomBytes } from 'node:crypto'
import { link, mkdir, open, readFile, unlink } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { CountersignError } from '../../../common/errors.ts'
import { badArgument, optionsOf } from '../../../core/args.ts'
import { createDeviceKey, importDeviceKey, type StatsDeviceKey } from '../keys.ts'

function isMissing(error: unknown): boolean {
  return (error as { code?: unknown }).code === 'ENOENT'
}
function isThere(error: unknown): boolean {
  return (error as { code?: unknown }).code === 'EEXIST'
}

// Write a draft as a whole, then link it. A reader never sees a part of it, and of two programs that start at once
// one wins.
async function writeOnce(path: string, text: string): Promise<void> {
  const draft = `${path}.${randomBytes(8).toString('hex')}`
  const file = await open(draft, 'wx', 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
    await link(draft, path)
  } catch (error) {
    if (!isThere(error)) throw error
  } finally {
    await file.close()
    await unlink(draft)
  }
}

async function readKey(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

/**
 * Reads this user's device key, or creates it with mode 0600. The file is written as a whole and never overwritten.
 * Deleting it starts a new device. Default of `path`: `~/.statscode/device.key`.
 * Rejects with ERR_STORAGE_FAILED when the file cannot be read or created, and with ERR_INVALID_ARGUMENT when it is
 * blank.
 *
 * @example
 * ```ts
 * const { key, text } = await deviceKeyFile()
 * ```
 */
export async function deviceKeyFile(options: { path?: string } = {}): Promise<{ key: StatsDeviceKey; text: string }> {
  const { path = join(homedir(), '.statscode', 'device.key') } = optionsOf(options, 'deviceKeyFile')
  if (typeof path !== 'string' || path === '') throw badArgument('deviceKeyFile: path must be a non-empty string')
  let text: string | undefined
  try {
    text = await readKey(path)
    if (text === undefined) {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 })
      await writeOnce(path, (await createDeviceKey()).text)
      text = await readFile(path, 'utf8')
    }
  } catch (cause) {
    throw new CountersignError('ERR_STORAGE_FAILED', { cause, detail: 'device.key' })
  }
  const trimmed = text.trim()
  return { key: await importDeviceKey(trimmed), text: trimmed }
}
