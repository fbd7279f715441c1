// SPDX-License-Identifier: MIT
// A folder or file of LMDB: how it is opened, and how work is done in it so that a disk that is full or broken ends a
// promise and never the process.

import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  rmSync,
  statSync,
  writeFileSync
} from 'node:fs'
import { dirname, extname, join } from 'node:path'
import { open, type RootDatabase, type RootDatabaseOptions } from 'lmdb'
import { CountersignError } from '../../../common/errors.ts'
import { badArgument } from '../../../core/args.ts'

const OWNER_ONLY = { folder: 0o700, file: 0o600 }

/** The first pages of an environment, in bytes. */
const FIRST_PAGES = 16_384
/** The part of a lock file that LMDB writes to at its first open, in bytes. */
const LOCK_HEAD = 8192

/** Writes bytes to an open file, down to the disk, and closes it. */
function writeAndClose(file: number, bytes: Uint8Array): void {
  try {
    writeFileSync(file, bytes)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}

// Creates what LMDB would create with the rights that the umask leaves: with its owner's rights alone. LMDB ends the
// process where a disk takes neither a new environment nor a new lock file, so both are tried before.
function makeFiles(path: string): void {
  // LMDB takes a path with an extension as a file, and one without as a folder.
  const isFile = extname(path) !== ''
  const folder = isFile ? dirname(path) : path
  if (!existsSync(folder)) mkdirSync(folder, { recursive: true, mode: OWNER_ONLY.folder })
  if (!isFile) chmodSync(folder, OWNER_ONLY.folder)
  const [data, lock] = isFile ? [path, `${path}-lock`] : [join(path, 'data.mdb'), join(path, 'lock.mdb')]
  for (const file of [data, lock]) {
    closeSync(openSync(file, 'a', OWNER_ONLY.file))
    chmodSync(file, OWNER_ONLY.file)
  }
  if (statSync(lock).size === 0) writeAndClose(openSync(lock, 'a'), new Uint8Array(LOCK_HEAD))
  if (statSync(data).size > 0) return
  const trial = `${data}.${process.pid}`
  try {
    writeAndClose(openSync(trial, 'w', OWNER_ONLY.file), new Uint8Array(FIRST_PAGES))
  } finally {
    rmSync(trial, { force: true })
  }
}

const storageFailed = (cause: unknown): CountersignError => new CountersignError('ERR_STORAGE_FAILED', { cause })

/**
 * Opens an environment whose files only their owner can read or write, and creates it where it is missing.
 *
 * @throws ERR_STORAGE_FAILED when it cannot be opened; `cause` is the file system's or LMDB's error.
 */
export function openEnvironment(path: string, options: RootDatabaseOptions): RootDatabase {
  try {
    makeFiles(path)
    // Without overlappingSync, a commit is on disk before it resolves, and before another process sees it.
    return open({ ...options, path, overlappingSync: false, eventTurnBatching: false })
  } catch (cause) {
    throw storageFailed(cause)
  }
}

/**
 * Opens tables, which a new environment writes to the disk.
 *
 * @throws ERR_STORAGE_FAILED when they cannot be made; the environment is closed then.
 */
export function openTables<Tables>(root: RootDatabase, openAll: () => Tables): Tables {
  try {
    return openAll()
  } catch (cause) {
    root.close().catch(() => {})
    throw cause instanceof CountersignError ? cause : storageFailed(cause)
  }
}

/** LMDB takes keys of up to 1978 bytes, and the name of a table or a separator may stand in front of a text. */
const MAX_KEY_BYTES = 1024

/**
 * Checks texts that become keys, before a transaction writes any part of a record.
 *
 * @throws ERR_INVALID_ARGUMENT when one is longer than 1024 bytes in UTF-8.
 */
export function checkKeys(keys: { readonly [name: string]: string }): void {
  for (const [name, key] of Object.entries(keys))
    if (Buffer.byteLength(key) > MAX_KEY_BYTES)
      throw badArgument(`LMDB: ${name} must be at most ${MAX_KEY_BYTES} bytes`)
}

/** What LMDB throws: the number of its error, or of the system's, is the code. A failed commit brings its cause later. */
type LmdbError = { code?: unknown; commitError?: Promise<never> }

// A commit that fails says why by a second promise, in the error of the first. Where nobody handles that promise, Node
// ends the process. It is settled by now, or never.
async function explain(error: unknown): Promise<unknown> {
  const { code, commitError } = Object(error) as LmdbError
  if (!commitError) return typeof code === 'number' ? storageFailed(error) : error
  const settled = commitError.catch((cause: unknown) => cause)
  return storageFailed(await Promise.race([settled, new Promise((resolve) => setImmediate(resolve, error))]))
}

/**
 * Does work in one write transaction across all processes. A commit that fails keeps nothing of it. Where a write inside
 * the work finds no memory or no room, LMDB refuses the commit. Work that throws for a reason of its own does so before
 * it writes: what it had written would be kept.
 *
 * @throws ERR_STORAGE_FAILED when the transaction cannot be committed: the disk is full, read-only or broken. An error
 * that `work` itself throws is thrown on.
 */
export async function transact<T>(root: RootDatabase, work: () => T): Promise<T> {
  try {
    // Not a child transaction, which `lmdb` 3.5 answers with a corrupted heap where the commit around it fails.
    return await root.transaction(work)
  } catch (error) {
    throw await explain(error)
  }
}
