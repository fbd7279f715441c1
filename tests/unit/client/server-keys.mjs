// SPDX-License-Identifier: MIT
// A client and a gateway that delivers server keys, for the suites about them.
import { connect, memoryStore } from 'countersign'
import { fakeGateway } from './fake-gateway.mjs'
import { createClocks, enrol, optionsFor, text } from './fixture.mjs'

export { until } from '../harness/wait.mjs'

export const DAY = 24 * 3600 * 1000
export const base64 = (bytes) => btoa(String.fromCharCode(...bytes))

/** A client of a gateway that answers cs.keys with `it.set` by key `it.by`, and everything else by `it.signer`. */
export const started = async (options = {}) => {
  const clocks = createClocks()
  const gateway = await fakeGateway({ now: clocks.serverNow })
  const next = await gateway.foreignKey()
  const other = await gateway.foreignKey()
  const warnings = []
  const it = {
    gateway,
    clocks,
    next,
    other,
    warnings,
    store: memoryStore(),
    signer: {},
    by: {},
    asked: 0,
    set: undefined
  }
  it.entry = (changes = {}) => ({
    id: 'k2',
    public_key: base64(next.publicKey),
    not_after: Math.floor(gateway.now()) + 30 * DAY,
    ...changes
  })
  it.setOf = (serial, ...keys) => JSON.stringify({ serial, keys: keys.length > 0 ? keys : [it.entry()] })
  it.options = optionsFor(gateway, {
    store: it.store,
    now: clocks.now,
    monotonicNow: clocks.monotonicNow,
    logger: { warn: (message, error) => warnings.push([message, error]) },
    ...options
  })
  gateway.intercept = async ({ messageType, result }, answer) => {
    if (messageType !== 'cs.keys') return answer(it.signer)
    if (result.resultCode === 'cs.stale') return answer(it.by)
    it.asked++
    if (it.set === undefined) return answer({ resultCode: 'unknown_type', ...it.by })
    return answer({ payload: it.set, ...it.by })
  }
  it.client = await connect(it.options)
  await enrol(it.client, gateway)
  it.switched = () => {
    it.signer = { key: next, keyId: 'k2' }
  }
  it.reload = async (changes = {}) => {
    await it.client.close()
    it.client = await connect({ ...it.options, ...changes })
    return it.client
  }
  it.stored = async () => (await it.store.get('demo')).serverKeys
  // Longer than the client keeps from asking again.
  it.later = (ms = 61_000) => {
    clocks.monotonicMs += ms
    clocks.skewMs += ms
    clocks.serverSkewMs += ms
  }
  return it
}

export const echo = async ({ client }) => text((await client.request('demo.echo', 'x')).payload)
