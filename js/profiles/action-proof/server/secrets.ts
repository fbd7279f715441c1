// SPDX-License-Identifier: MIT
// Secrets of the compatible mode, one for each session and period, derived from one master secret. The server stores
// nothing, every gateway derives the same secrets, and a secret ends with its session. The secret of the period
// before stays valid, so that proofs under way are accepted.

import { hkdfSync } from 'node:crypto'
import { DAY_MS } from '../../../common/protocol.ts'
import type { BytesLike } from '../../../common/types.ts'
import { badArgument, copyOf, integerOf, optionsOf } from '../../../core/args.ts'
import type { Handler } from '../../../server/types.ts'
import { encodeHex } from '../../common/bytes.ts'
import { importSecret, type SecretKey } from '../create.ts'
import type { ActionSecrets } from './types.ts'

const LEAST_BYTES = 32
const CACHED = 4096

/**
 * Derives session secrets from `master`, at least 32 random bytes that never leave the server. A secret is issued for
 * `periodMs` and accepted for one period more. Default of `periodMs`: 86400000 ms (a day).
 * @throws ERR_INVALID_ARGUMENT when the master is shorter than 32 bytes or the period out of range.
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

/** Creates the handler of `cs.action_secret`, for `createGateway({ actionSecret })`. */
export function secretHandler(secrets: ActionSecrets, now: () => number = Date.now): Handler {
  return ({ session }) => {
    const { id, text } = secrets.issue(session.id, now())
    return { payload: JSON.stringify({ key_id: id, secret: text }) }
  }
}
