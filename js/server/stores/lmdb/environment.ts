// SPDX-License-Identifier: MIT
// A folder or file of LMDB: how it is opened, and how work is done in it so that a disk that is full or broken ends a
// promise and never the process.

import { chmodSync, closeSync, existsSync, mkdirSync, openSync } from 'node:fs'
import { dirname, extname, join } from 'node:path'
import { open, type RootDatabase, type RootDatabaseOptions } from 'lmdb'
import { CountersignError } from '../../../common/errors.ts'

const OWNER_ONLY = { folder: 0o700, file: 0o600 }

// Creates what LMDB would create with the rights that the umask leaves: with its owner's rights alone.
function makePrivate(path: string): void {
  // LMDB takes a path with an extension as a file, and one without as a folder.
  const isFile = extname(path) !== ''
  const folder = isFile ? dirname(path) : path
  if (!existsSync(folder)) mkdirSync(folder, { recursive: true, mode: OWNER_ONLY.folder })
  if (!isFile) chmodSync(folder, OWNER_ONLY.folder)
  const files = isFile ? [path, `${path}-lock`] : [join(path, 'data.mdb'), join(path, 'lock.mdb')]
  for (const file of files) {
    closeSync(openSync(file, 'a', OWNER_ONLY.file))
    chmodSync(file, OWNER_ONLY.file)
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
    makePrivate(path)
    // Without overlappingSync, a commit is on disk before it resolves, and before another process sees it.
    return open({ ...options, path, overlappingSync: false, eventTurnBatching: false })
  } catch (cause) {
    throw storageFailed(cause)
  }
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
 * Does work in one write transaction across all processes. A commit that fails keeps nothing of it. What the work wrote
 * before it throws is kept, so it checks first and writes last.
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
