// SPDX-License-Identifier: MIT
// Every public call of the core with arguments that are good, for suites that then spoil one of them.

import { answerFrame, eventFrame, KINDS, makeServerKey, sampleFields } from './reference.mjs'

const HEAD = 'USLPqssiicgkgzjaWf3CGQ'

/** goodCalls lists `{ name, args, run(...args) }`; every run succeeds with its args. */
export const goodCalls = async (core) => {
  const key = await makeServerKey('k')
  const payload = new Uint8Array([1, 2, 3])
  const [hash, message] = [core.sha256(payload), new Uint8Array([4, 5])]
  const signature = await key.sign(message)
  const frame = await answerFrame(core, key, { payload })
  const { signingInput } = core.parseFrame(frame)
  const event = await eventFrame(core, key)
  const envelope = frame.slice(0, -payload.length)
  const options = () => ({
    label: 'demo',
    keys: [key],
    requestId: 'request',
    nowMs: 1_775_121_600_000,
    pastMs: 5,
    futureMs: 5
  })
  const begun = core.beginRequest(sampleFields('request', { requestId: HEAD }))
  const request = core.buildFrame({ signingInput: begun.signingInput, keyId: '', signature })
  const call = (name, ...args) => ({ name, args, run: (...given) => core[name](...given) })
  const on = (make, name, ...args) => ({
    name: `${make.name} ${name}`,
    args,
    run: (...given) => make()[name](...given)
  })
  const clock = () => {
    const made = core.createClock()
    made.addRoundTrip({ sentMs: 0, receivedMs: 10, serverMs: 1_775_121_600_000 })
    return made
  }
  const guard = () => core.createReplayGuard({ capacity: 4 })
  const trusted = () => core.trustedKey(key.publicKey)
  const stream = () => core.createSha256()
  return [
    call('sha256', payload),
    call('hmacSha256', payload, message),
    call('verifyHmacSha256', payload, message, core.hmacSha256(payload, message)),
    ...KINDS.map((kind) => call(`${kind}SigningInput`, sampleFields(kind))),
    call('bindRequestId', sampleFields('request', { requestId: HEAD })),
    call('beginRequest', sampleFields('request', { requestId: HEAD })),
    call('parseSigningInput', signingInput),
    call('buildFrame', { signingInput, keyId: 'k', signature, payload }),
    call('parseFrame', frame),
    call('verifyEd25519', key.publicKey, message, signature),
    call('isAcceptableEd25519Key', key.publicKey),
    call('trustedKey', key.publicKey),
    call('openResponse', frame, options()),
    call('openEnvelope', envelope, hash, options()),
    call('openEvent', event, {
      label: 'demo',
      keys: [key],
      deviceSessionId: 'session',
      stream: 'stream',
      lastSequence: 6,
      sinceMs: 5,
      nowMs: 1_775_121_600_000
    }),
    call('eventId', 'stream', 7, 'e'),
    call('openRequest', request, { label: 'demo', compatible: false }),
    call('replayKey', 'demo', 'session', 'request'),
    call('createReplayGuard', { capacity: 4, sessionQuota: 2, floorMs: 5 }),
    on(stream, 'update', payload),
    on(trusted, 'verify', message, signature),
    on(clock, 'addRoundTrip', { sentMs: 1, receivedMs: 2, serverMs: 3, replace: true }),
    on(clock, 'addEvent', { receivedMs: 2, serverMs: 3 }),
    on(clock, 'addStored', { monotonicMs: 2, serverMs: 3, errorMs: 4 }),
    on(clock, 'noteWall', { monotonicMs: 2, wallMs: 3 }),
    on(clock, 'estimate', 20),
    on(clock, 'stamp', 20),
    on(guard, 'reserve', hash, 10, 20, 5, payload),
    on(guard, 'limit', hash, 10, 20, 5, payload, true)
  ]
}

/** plain makes what a call gave comparable. */
export const plain = (value) =>
  typeof value?.free === 'function' || typeof value?.update === 'function' ? 'a handle' : value
