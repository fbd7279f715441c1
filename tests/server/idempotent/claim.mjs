// SPDX-License-Identifier: MIT
import { randomBytes } from 'node:crypto'
import { startMs } from '../kit.mjs'

/** claimOf makes a claim of its own key and token unless told. */
export const claimOf = (changes = {}) => ({
  key32: new Uint8Array(randomBytes(32)),
  fingerprint32: new Uint8Array(32).fill(1),
  token: randomBytes(16).toString('base64url'),
  owner: 'u1',
  holdMs: 30_000,
  keepMs: 86_400_000,
  nowMs: startMs,
  repeatable: false,
  ...changes
})
