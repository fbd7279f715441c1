// SPDX-License-Identifier: MIT
// Verifies an inspected input with the key that its kind needs.

import { readFile } from 'node:fs/promises'
import { decodeBase64 } from '../common/base64.ts'
import type { FrameParts, SigningFields } from '../common/types.ts'
import { loadCore } from '../core/index.ts'
import { importSecret } from '../profiles/action-proof/create.ts'
import { verifyProof } from '../profiles/action-proof/verify.ts'
import { loadJsonCore } from '../profiles/common/json-core.ts'
import { importKnockKey } from '../profiles/knock/keys.ts'
import { verifyKnock } from '../profiles/knock/packet.ts'
import { importDeviceKey } from '../profiles/stats-event/keys.ts'
import { verifyEvent } from '../profiles/stats-event/verify.ts'
import { CliError } from './input.ts'
import type { Inspection } from './inspect.ts'

/** The keys of the command line. Each kind of input needs one of them. */
export type CliKeys = {
  'public-key'?: string | undefined
  'device-key'?: string | undefined
  secret?: string | undefined
  'knock-key'?: string | undefined
  mode?: string | undefined
  now?: string | undefined
}

export type CliVerdict = { ok: boolean; reason?: string }

function needed(keys: CliKeys, name: keyof CliKeys, input: string): string {
  const value = keys[name]
  if (value === undefined) throw new CliError(`to verify ${input}, pass --${name}`)
  return value
}

async function fileOf(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path)
  } catch (error) {
    throw new CliError(`cannot read ${path} (${(error as NodeJS.ErrnoException).code})`)
  }
}

function nowOf({ now }: CliKeys): number {
  if (now === undefined) return Date.now()
  const ms = Number(now)
  if (!Number.isSafeInteger(ms) || ms < 0) throw new CliError('--now must be a time in Unix milliseconds')
  return ms
}

async function verifyFrame({ value }: Inspection, keys: CliKeys): Promise<CliVerdict> {
  const { parts, fields } = value as { parts: FrameParts; fields: SigningFields }
  const publicKey = decodeBase64(needed(keys, 'public-key', 'a frame'))
  if (publicKey?.length !== 32) throw new CliError('--public-key must be the standard base64 of a 32-byte Ed25519 key')
  const core = await loadCore()
  if (!core.verifyEd25519(publicKey, parts.signingInput, parts.signature)) return { ok: false, reason: 'signature' }
  const hash = 'payloadHash' in fields ? fields.payloadHash : undefined
  const made = core.sha256(parts.payload)
  if (hash && !hash.every((byte, at) => byte === made[at])) return { ok: false, reason: 'payload_hash' }
  return { ok: true }
}

const verifiers: { readonly [Kind in Inspection['kind']]?: (found: Inspection, keys: CliKeys) => Promise<CliVerdict> } =
  {
    frame: verifyFrame,
    async 'stats event'({ bytes, value }, keys) {
      const key = await importDeviceKey(await fileOf(needed(keys, 'device-key', 'a stats event')))
      // Two parsers may read a text with a duplicate name differently.
      if (!(await loadJsonCore()).isJson(bytes)) return { ok: false, reason: 'malformed' }
      const mode = (keys.mode ?? 'strict') as 'strict'
      return verifyEvent(value as never, key, { mode })
    },
    async 'action proof'({ bytes }, keys) {
      const text = new TextDecoder().decode(await fileOf(needed(keys, 'secret', 'an action proof')))
      const secret = await importSecret(text.replace(/\r?\n$/, ''))
      const { ok, ...rest } = await verifyProof(bytes, {
        secret,
        nowMs: nowOf(keys),
        mode: (keys.mode ?? 'slices') as 'slices'
      })
      return { ok, ...('reason' in rest ? { reason: rest.reason } : {}) }
    },
    async 'knock packet'({ bytes }, keys) {
      const key = await importKnockKey(await fileOf(needed(keys, 'knock-key', 'a knock packet')))
      const { ok, ...rest } = await verifyKnock(bytes, key, { nowSeconds: Math.floor(nowOf(keys) / 1000) })
      return { ok, ...('reason' in rest ? { reason: rest.reason } : {}) }
    }
  }

/**
 * Verifies an inspected input by the key of its kind.
 * Rejects with a CliError when that key is missing, or when the kind cannot be verified alone.
 */
export async function verify(found: Inspection, keys: CliKeys): Promise<CliVerdict> {
  const run = verifiers[found.kind]
  if (!run) throw new CliError(`countersign cannot verify a ${found.kind} by itself`)
  return run(found, keys)
}
