// SPDX-License-Identifier: MIT
// Tables of LMDB whose keys and values are bytes, and the numbers in them.

import type { Database, RootDatabase } from 'lmdb'

const NUMBER_SIZE = 8

/** Opens a table, and creates it when it is missing. */
export function openBinaryTable(root: RootDatabase, name: string): Database<Buffer, Buffer> {
  return root.openDB<Buffer, Buffer>({ name, encoding: 'binary', keyEncoding: 'binary' })
}

/** Encodes numbers in 8 bytes each, big-endian, so that keys sort by number. */
export function encodeNumbers(...numbers: number[]): Buffer {
  const bytes = Buffer.alloc(NUMBER_SIZE * numbers.length)
  for (const [index, number] of numbers.entries()) writeNumber(bytes, number, NUMBER_SIZE * index)
  return bytes
}

/** Reads the number at an offset in bytes. */
export function readNumber(bytes: Buffer, offset = 0): number {
  return Number(bytes.readBigUInt64BE(offset))
}

/** Writes a number at an offset in bytes. */
export function writeNumber(bytes: Buffer, number: number, offset: number): void {
  bytes.writeBigUInt64BE(BigInt(number), offset)
}
