// SPDX-License-Identifier: MIT
// What shares of the replay ids hold in LMDB (R163): a number for each share, and the shares of each session that has ids or
// a floor. So an entry that goes is taken from the shares that it was counted for. Each step runs inside a transaction.

import type { RootDatabase } from 'lmdb'
import { openBinaryTable } from './binary-table.ts'

/** A share of a request id: the hash of its name, and its room. */
export type StoredShare = { name: Buffer; most: number; ids: number }

const NAME_SIZE = 32
const SHARE = Buffer.from('s')
const OWNER = Buffer.from('o')

/** Reads a number of entries. Nothing is 0. */
export function readCount(bytes: Buffer | undefined): number {
  return bytes?.readUInt32BE(0) ?? 0
}

/** Encodes a number of entries. */
export function encodeCount(count: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(count)
  return bytes
}

/** Opens the shares. */
export function openShares(root: RootDatabase) {
  const table = openBinaryTable(root, 'replay-shares')
  const keyOf = (name: Buffer): Buffer => Buffer.concat([SHARE, name])
  const change = (name: Buffer, by: number): void => {
    const count = Math.max(0, readCount(table.getBinary(keyOf(name))) + by)
    if (count > 0) table.put(keyOf(name), encodeCount(count))
    else table.remove(keyOf(name))
  }
  return {
    /** Returns whether each share has room for an id, or for a session's floor. */
    hasRoom: (shares: readonly StoredShare[], kind: 'ids' | 'most'): boolean =>
      shares.every((share) => readCount(table.getBinary(keyOf(share.name))) < share[kind]),
    /** Counts one more entry of a session. */
    join(owner: Buffer, shares: readonly StoredShare[]): void {
      if (shares.length === 0) return
      table.put(Buffer.concat([OWNER, owner]), Buffer.concat(shares.map(({ name }) => name)))
      for (const { name } of shares) change(name, 1)
    },
    /** Takes one entry of a session away, which may be its last one. */
    leave(owner: Buffer, isLast: boolean): void {
      const kept = table.getBinary(Buffer.concat([OWNER, owner]))
      if (!kept) return
      // Copied: LMDB may write over what it has read.
      const names = Buffer.from(kept)
      for (let at = 0; at < names.length; at += NAME_SIZE) change(names.subarray(at, at + NAME_SIZE), -1)
      if (isLast) table.remove(Buffer.concat([OWNER, owner]))
    }
  }
}
