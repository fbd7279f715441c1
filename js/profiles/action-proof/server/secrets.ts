// SPDX-License-Identifier: MIT
// Secrets of the compatible mode, one a session and period, derived from one master secret: nothing to store, the same on every
// gateway, gone with its session. The one before stays good for a period, so that proofs under way are not lost.

import { hkdfSync } from 'node:crypto'
import type { BytesLike } from '../../../common/types.ts'
import { badArgument, copyOf, integerOf, optionsOf } from '../../../core/args.ts'
import type { Handler } from '../../../server/types.ts'
import { encodeHex } from '../../common/hex.ts'
import { importSecret, type SecretKey } from '../create.ts'
import type { ActionSecrets } from './types.ts'

const DAY_MS = 86_400_000
const LEAST_BYTES = 32
const CACHED = 4096

/**
 * Derives secrets from `master`, at least 32 random bytes that never leave the server; `periodMs` is how long one
 * is issued, a day unless told, and it is accepted for one period more. It throws ERR_INVALID_ARGUMENT for a short master.
 *
 * @example
 * ```ts
 * const secrets = actionSecrets({ master: await readFile('action.key') })
 * ```
 */
export function actionSecrets(options: { master: BytesLike; periodMs?: number }): ActionSecrets {
  const { master, periodMs = DAY_MS } = optionsOf(options, 'actionSecrets')
  const bytes = copyOf(master, 'actionSecrets: master')
  if (bytes.length < LEAST_BYTES) throw badArgument(`actionSecrets: master must be ${LEAST_BYTES} bytes or more`)
  integerOf(periodMs, 60_000, 365 * DAY_MS, 'actionSecrets: periodMs')
  const imported = new Map<string, Promise<SecretKey>>()

  const idAt = (nowMs: number): string => `p${Math.floor(nowMs / periodMs)}`
  const textOf = (sessionId: string, id: string): string => {
    const info = `countersign action-proof secret\0${id}\0${sessionId}`
    return encodeHex(new Uint8Array(hkdfSync('sha256', bytes, '', info, LEAST_BYTES)))
  }
  const keyOf = (sessionId: string, id: string): Promise<SecretKey> => {
    const name = `${id}/${sessionId}`
    const known = imported.get(name)
    if (known) return known
    if (imported.size >= CACHED) imported.delete(imported.keys().next().value as string)
    const key = importSecret(textOf(sessionId, id), { id })
    imported.set(name, key)
    return key
  }

  return {
    issue(sessionId, nowMs) {
      const id = idAt(nowMs)
      return { id, text: textOf(sessionId, id) }
    },
    async of(sessionId, nowMs, id) {
      const good = [idAt(nowMs), idAt(nowMs - periodMs)]
      const meant = id === undefined ? good : good.filter((one) => one === id)
      return Promise.all(meant.map((one) => keyOf(sessionId, one)))
    }
  }
}

/** Answers `cs.action_secret`: createGateway takes it as `actionSecret`. */
export function secretHandler(secrets: ActionSecrets, now: () => number = Date.now): Handler {
  return ({ session }) => {
    const { id, text } = secrets.issue(session.id, now())
    return { payload: JSON.stringify({ key_id: id, secret: text }) }
  }
}
