// SPDX-License-Identifier: MIT
// Answers of requests with an idempotency key, over any table of records with transactions: written once for memory and
// for LMDB.

import { sha256 } from '../support/encoding.ts'
import type { AnswerClaim, AnswerStore, AnswerVerdict, KeptAnswer } from '../types.ts'
import { ANSWER_FORMAT, decodeBytes, encodeBytes, quotaOf } from './common.ts'
import { closableTable, type RecordTable, SWEPT_KEYS } from './record-table.ts'

/** A remembered key. Bytes are kept as text, so that any encoding of records will do. */
type AnswerEntry = {
  owner: string
  fingerprint: string
  token: string
  heldUntilMs: number
  expiresMs: number
  /** Whether the claim has ended. Without an answer its outcome is unknown. */
  isOver?: boolean
  answer?: Omit<KeptAnswer, 'payload'> & { payload: string; format?: number }
}

type OwnerCount = { owned: number }

/** Keys that one step of `forgetUser` looks at. */
const WALKED_KEYS = 1024

const ownerName = (owner: string): string => `owner/${encodeBytes(sha256(owner))}`
const keyName = (key32: Uint8Array): string => `key/${encodeBytes(key32)}`

const decodeAnswer = ({ payload, format = 1, ...answer }: NonNullable<AnswerEntry['answer']>): AnswerVerdict =>
  format > ANSWER_FORMAT
    ? { state: 'unknown' }
    : { state: 'kept', answer: { ...answer, payload: decodeBytes(payload) } }

const encodeAnswer = ({ resultCode, status, contentType, payload, headers }: KeptAnswer): AnswerEntry['answer'] => ({
  ...{ format: ANSWER_FORMAT, resultCode, status, contentType, payload: encodeBytes(payload) },
  ...(headers ? { headers } : {})
})

function checkClaim(claim: AnswerClaim, entry: AnswerEntry): AnswerVerdict {
  if (entry.fingerprint !== encodeBytes(claim.fingerprint32)) return { state: 'conflict' }
  if (entry.answer) return decodeAnswer(entry.answer)
  if (!entry.isOver && entry.heldUntilMs > claim.nowMs)
    return { state: 'held', retryAfterMs: entry.heldUntilMs - claim.nowMs }
  return { state: claim.repeatable ? 'claimed' : 'unknown' }
}

/** Creates an AnswerStore over a table; one owner holds at most a 64th of it. */
export function createAnswerStore(records: RecordTable): AnswerStore {
  const table = closableTable(records)
  const quota = quotaOf(table.capacity)

  const ownedBy = (owner: string): number => (table.get(owner) as OwnerCount | undefined)?.owned ?? 0
  const remove = (name: string, { owner }: AnswerEntry): void => {
    table.remove(name)
    const owned = ownedBy(owner) - 1
    if (owned > 0) table.put(owner, { owned } satisfies OwnerCount)
    else table.remove(owner)
  }
  const sweep = (nowMs: number): void => {
    for (const name of table.nextKeys(SWEPT_KEYS)) {
      const entry = table.get(name) as AnswerEntry | undefined
      if (entry && entry.expiresMs <= nowMs) remove(name, entry)
    }
  }
  const find = (name: string, nowMs: number): AnswerEntry | undefined => {
    const entry = table.get(name) as AnswerEntry | undefined
    if (!entry || entry.expiresMs > nowMs) return entry
    remove(name, entry)
    return undefined
  }
  const findClaim = (name: string, token: string): AnswerEntry | undefined => {
    const entry = table.get(name) as AnswerEntry | undefined
    return entry?.token === token && !entry.isOver ? entry : undefined
  }
  const begin = (name: string, claim: AnswerClaim, owner: string): void =>
    table.put(name, {
      owner,
      fingerprint: encodeBytes(claim.fingerprint32),
      token: claim.token,
      heldUntilMs: claim.nowMs + claim.holdMs,
      expiresMs: claim.nowMs + claim.keepMs
    } satisfies AnswerEntry)

  return {
    claim: (claim) =>
      table.transact((): AnswerVerdict => {
        const name = keyName(claim.key32)
        const entry = find(name, claim.nowMs)
        if (entry) {
          const verdict = checkClaim(claim, entry)
          if (verdict.state === 'claimed') begin(name, claim, entry.owner)
          return verdict
        }
        sweep(claim.nowMs)
        const owner = ownerName(claim.owner)
        const owned = ownedBy(owner)
        // Two records: the key, and the owner's count.
        if (table.size() + 2 > table.capacity || owned >= quota) return { state: 'full' }
        table.put(owner, { owned: owned + 1 } satisfies OwnerCount)
        begin(name, claim, owner)
        return { state: 'claimed' }
      }),

    finish: (key32, token, answer, { keepMs, nowMs }) =>
      table.transact(() => {
        const name = keyName(key32)
        const entry = findClaim(name, token)
        if (!entry) return false
        const ended = { ...entry, isOver: true, expiresMs: nowMs + keepMs }
        table.put(name, answer ? { ...ended, answer: encodeAnswer(answer) } : ended)
        return true
      }),

    // An owner's keys are not listed, so all are looked at, in steps that keep no other claim waiting for long.
    async forgetUser(user) {
      const owner = ownerName(user)
      const names = await table.transact(() => table.keys())
      for (let at = 0; at < names.length; at += WALKED_KEYS)
        await table.transact(() => {
          for (const name of names.slice(at, at + WALKED_KEYS)) {
            const entry = table.get(name) as AnswerEntry | undefined
            if (entry?.owner === owner) remove(name, entry)
          }
        })
    },

    release: (key32, token) =>
      table.transact(() => {
        const name = keyName(key32)
        const entry = findClaim(name, token)
        if (entry) remove(name, entry)
        return entry !== undefined
      }),

    size: () => table.size(),
    close: table.close
  }
}
