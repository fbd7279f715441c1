// SPDX-License-Identifier: MIT
// Makes keys and writes them to a record, for a session that begins and for one that changes its key.

import { CountersignError, isCountersignError } from '../../common/errors.ts'
import type { Algorithm, Stored } from '../../common/types.ts'
import { type DeviceKey, isSameKey, newPair } from './device-key.ts'
import type { KeyVault } from './key-vault.ts'
import { type Notes, type Session, UPGRADE, usableKey } from './key-vault.ts'

/** The place in the store where a new key is written and read back. */
type KeySlot = {
  put(stored: Stored): Promise<unknown>
  get(): Promise<Stored['next'] | null>
  clear(): Promise<unknown>
}

// WebKitGTK fails to make an Ed25519 key in about 0.6 % of calls; the next call succeeds.
const GENERATE_TRIES = 3

/** Makes a key pair of one algorithm and does not store it. Rejects with ERR_KEY_GENERATION_FAILED. */
const makeKey = async (algorithm: Algorithm): Promise<DeviceKey> => {
  let cause: unknown
  for (let tries = 0; tries < GENERATE_TRIES; tries++) {
    try {
      return await newPair(algorithm)
    } catch (error) {
      cause = error
      if ((error as Error)?.name === 'NotSupportedError') break
    }
  }
  throw new CountersignError('ERR_KEY_GENERATION_FAILED', { cause, detail: algorithm })
}

// A key of another algorithm may succeed where this one failed. A full or blocked store stays as it is.
const mayNextAlgorithmHelp = ({ code, cause }: CountersignError): boolean =>
  code === 'ERR_KEY_GENERATION_FAILED' ||
  code === 'ERR_KEY_UNUSABLE' ||
  code === 'ERR_STORAGE_EMPTY' ||
  (code === 'ERR_STORAGE_FAILED' && (cause as Error | undefined)?.name === 'DataCloneError')

// Some stores accept a CryptoKey and lose it, or return one that no longer signs. So only the key that was read back
// counts.
const createOne = async (vault: KeyVault, place: KeySlot, algorithm: Algorithm): Promise<DeviceKey> => {
  await place.put(vault.recordOf(await makeKey(algorithm)))
  const record = await place.get()
  if (!record) throw new CountersignError('ERR_STORAGE_EMPTY', { detail: algorithm })
  const key = await usableKey(vault.core, record)
  if (key) return key
  await place.clear()
  throw new CountersignError('ERR_KEY_UNUSABLE', { detail: algorithm })
}

const create = async (vault: KeyVault, place: KeySlot): Promise<DeviceKey> => {
  if (vault.storage === 'store') vault.skipped = {}
  let failure: unknown
  for (const algorithm of vault.settings.algorithms) {
    try {
      return await createOne(vault, place, algorithm)
    } catch (error) {
      failure = error
      if (!isCountersignError(error)) break
      vault.skip(algorithm, error)
      if (!mayNextAlgorithmHelp(error)) break
    }
  }
  throw failure
}

/**
 * Returns the key to enrol: an earlier one that was never enrolled, or a new one. With `isUpgrade` it lies beside the key
 * of a guest who becomes a user. The new key was stored, read back, signed with and verified.
 * Rejects with ERR_ALREADY_ENROLLED when another tab has enrolled meanwhile, and with key and storage errors.
 */
export function prepareKey(vault: KeyVault, isUpgrade = false): Promise<DeviceKey> {
  return vault.locked(async (store, own) => {
    // Beside the guest's own key, which signs until the user's session has begun.
    const name = isUpgrade ? own + UPGRADE : own
    const found = await vault.read(store, name)
    if (found.kind === 'ready') throw new CountersignError('ERR_ALREADY_ENROLLED')
    if (found.kind === 'new') return found.key
    if (found.kind !== 'none') await store.delete(name)
    return create(vault, {
      put: (stored) => store.add(name, stored),
      get: () => store.get(name),
      clear: () => store.delete(name)
    })
  }, vault.settings.allowMemoryKey && !isUpgrade)
}

/** Returns whether a session is a guest's and still the record's. */
export async function isGuest(vault: KeyVault, session: Session): Promise<boolean> {
  return (await vault.change(session, async ({ guest }) => guest === true)) ?? false
}

/**
 * Stores an enrolled session, in place of the guest's where it was one, and reads it back.
 * Rejects with ERR_ALREADY_ENROLLED when another tab was faster, and with storage errors.
 */
export function saveSession(
  vault: KeyVault,
  { id, key }: Session,
  notes: Notes & Pick<Stored, 'guest'>,
  guest?: Session
): Promise<void> {
  return vault.locked(async (store, name) => {
    const { sessionId = id, revoked } = (await store.get(name)) ?? {}
    if (sessionId !== id && sessionId !== guest?.id && !revoked) throw new CountersignError('ERR_ALREADY_ENROLLED')
    await store.put(name, { ...vault.recordOf(key), sessionId: id, ...notes })
    if ((await store.get(name))?.sessionId !== id) throw new CountersignError('ERR_STORAGE_EMPTY')
    if (guest) await store.delete(name + UPGRADE)
  }, vault.settings.allowMemoryKey && !guest)
}

/**
 * Makes a new key, tries it as at enrolment and stores it beside the session's own. A next key that waits there already
 * is kept, for the server may have it. `wanted` is a key that was tried before and may have been dropped meanwhile; it
 * takes the place of a new one. Returns undefined when the record is no longer this session's.
 */
export function stageKey(vault: KeyVault, session: Session, wanted?: DeviceKey): Promise<DeviceKey | undefined> {
  return vault.change(session, async ({ next, ...record }, put, get) => {
    const { skipped } = vault
    const place = { put: (stored: Stored) => put({ ...record, next: stored }), get: async () => (await get())?.next }
    try {
      const waiting = await usableKey(vault.core, next)
      if (waiting) return waiting
      if (!wanted) return await create(vault, { ...place, clear: () => put(record) })
      await put({ ...record, next: vault.recordOf(wanted) })
      return await usableKey(vault.core, (await get())?.next)
    } finally {
      vault.skipped = skipped
    }
  })
}

/** Makes the next key the session's own and reads it back. Rejects with a storage error. */
export function promoteKey(vault: KeyVault, session: Session, key: DeviceKey): Promise<void> {
  return vault.change(session, async ({ next, skipped: _, ...record }, put, get) => {
    vault.skipped = next?.skipped ?? {}
    await put({ ...record, ...vault.recordOf(key) })
    if (!isSameKey((await get()) ?? session.key, key)) throw new CountersignError('ERR_STORAGE_EMPTY')
  })
}

/**
 * Keeps the session's own key, which the server had at `serverMs`. A rotation that is still on its way may change that.
 * So the next key stays until the gateway can no longer accept a request of that time. Without a time it is dropped at
 * once.
 */
export function retainKey(vault: KeyVault, session: Session, serverMs?: number): Promise<void> {
  return vault.change(session, async ({ next, ...record }, put) => {
    if (!next) return
    const { pastMs, futureMs } = vault.settings
    const { heldMs = serverMs } = next
    const isOver = serverMs === undefined || heldMs === undefined || serverMs > heldMs + pastMs + futureMs
    await put(isOver ? record : { ...record, next: { ...next, heldMs } })
  })
}
