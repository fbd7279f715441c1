// SPDX-License-Identifier: MIT
// The transition table of client.state, held against real clients. Each case brings a client into a state, causes an event,
// and expects what the table says. Where the table names no transition, the client must not move.

import { connect, memoryStore } from 'countersign'
import { clientTransitions } from '../../../dist/client/session/client-state.js'
import { until } from '../harness/wait.mjs'
import { fakeGateway } from './fake-gateway.mjs'
import { enrol, optionsFor } from './fixture.mjs'
import { pathOf, statesOf } from './transitions.mjs'

const NAME = 'demo'

/** A store that counts the reads without a lock: a client makes one when a message of another tab arrives. */
const watchedStore = () => {
  const records = memoryStore()
  let locks = 0
  const store = {
    ...records,
    records,
    reads: 0,
    get: (name) => {
      if (locks === 0) store.reads++
      return records.get(name)
    },
    lock: (name, work) =>
      records.lock(name, async () => {
        locks++
        try {
          return await work()
        } finally {
          locks--
        }
      })
  }
  return store
}

/** A client without a session, and the means of its tests. */
const start = async () => {
  const gateway = await fakeGateway()
  const store = watchedStore()
  const options = optionsFor(gateway, { store })
  const client = await connect(options)
  const told = []
  client.on('state', (state) => told.push(state))
  const { records } = store

  /** Changes the record as another tab does, whose message the client does not get. */
  const change = (work) =>
    records.lock(NAME, async () => {
      const record = await records.get(NAME)
      const changed = await work(record)
      if (changed === null) await records.delete(NAME)
      else await records.put(NAME, changed)
    })

  /** Sends the message of another tab, and waits until the client has read the record again. */
  const nudge = async (state = 'ready') => {
    const { reads } = store
    const channel = new BroadcastChannel(`countersign:${NAME}:${store.scope}`)
    channel.postMessage({ about: 'record', is: state })
    await until(() => store.reads > reads, 'the client to read its record again')
    channel.close()
    // Closing waits for the work that the message began.
    await client.close()
  }

  /** Enrols another session in the same record, without a message. */
  const enrolElsewhere = async () => {
    await change(() => null)
    const there = {
      ...records,
      get: () => records.get(NAME),
      add: (_, record) => records.add(NAME, record),
      put: (_, record) => records.put(NAME, record),
      delete: () => records.delete(NAME)
    }
    const other = await connect({ ...options, namespace: 'silent', store: there })
    await enrol(other, gateway)
    await other.close()
  }
  return { client, gateway, options, told, change, nudge, enrolElsewhere }
}

const bring = {
  'no-session': start,
  ready: async () => {
    const given = await start()
    await enrol(given.client, given.gateway)
    return { ...given, sessionId: given.client.sessionId }
  },
  revoked: async () => {
    const given = await bring.ready()
    given.gateway.sessions.get(given.sessionId).isRevoked = true
    await given.client.request('demo.echo').catch(() => {})
    await until(async () => (await given.options.store.records.get(NAME)).revoked, 'the note of the revocation')
    return given
  },
  'key-lost': async () => {
    const given = await bring.ready()
    const { client, change, options } = given
    await change(() => null)
    const channel = new BroadcastChannel(`countersign:${NAME}:${options.store.scope}`)
    channel.postMessage({ about: 'record', is: 'ready' })
    await until(() => client.state === 'key-lost', 'the loss of the key')
    channel.close()
    return given
  },
  'signed-out': async () => {
    const given = await bring.ready()
    await given.client.signOut()
    return given
  }
}

/** What causes each event: `events` are those that one cause brings with it, in their order. */
const causes = {
  enrolled: { events: ['enrolled'], run: ({ client, gateway }) => enrol(client, gateway) },
  'enrolled-revoked': {
    events: ['replaced', 'enrolled-revoked'],
    run: async ({ enrolElsewhere, change, nudge }) => {
      await enrolElsewhere()
      await change((record) => ({ ...record, revoked: true }))
      await nudge()
    }
  },
  confirmed: {
    events: ['confirmed'],
    run: async ({ change, nudge }) => {
      await change(({ revoked: _, ...record }) => record)
      await nudge()
    }
  },
  revoked: {
    events: ['revoked'],
    run: async ({ change, nudge }) => {
      await change((record) => ({ ...record, revoked: true }))
      await nudge('revoked')
    }
  },
  replaced: {
    events: ['replaced', 'enrolled'],
    run: async ({ enrolElsewhere, nudge }) => {
      await enrolElsewhere()
      await nudge()
    }
  },
  gone: {
    events: ['gone'],
    run: async ({ change, nudge }) => {
      await change(() => null)
      await nudge()
    }
  },
  damaged: {
    events: ['damaged'],
    run: async ({ change, nudge }) => {
      await change((record) => ({ ...record, algorithm: 'none' }))
      await nudge()
    }
  },
  left: {
    events: ['left'],
    run: async ({ change, nudge }) => {
      await change(() => null)
      await nudge('signed-out')
    }
  },
  deleted: { events: ['deleted'], run: ({ client }) => client.signOut() }
}

/** A client that becomes ready by another tab while it enrols the same key itself, for the same challenge. */
const enrolledTwice = async () => {
  const given = await start()
  const { client, gateway, options, told } = given
  const code = async (challengeId) => {
    const other = await connect(options)
    await enrol(other, gateway, { challengeId })
    await until(() => client.state === 'ready', 'the session of the other tab')
    told.length = 0
    await other.close()
    return gateway.code
  }
  return { ...given, run: () => enrol(client, gateway, { code }) }
}

/** Events that cannot happen in a state. `holds` shows the reason on a client in that state. */
const noSession = {
  reason: 'a client that has no session compares no record with it',
  holds: ({ client }) => client.sessionId === null
}
const impossible = {
  'no-session': { confirmed: noSession, revoked: noSession },
  'key-lost': { confirmed: noSession, revoked: noSession },
  'signed-out': { confirmed: noSession, revoked: noSession }
}

const clientStates = statesOf(clientTransitions, 'no-session')
const clientEvents = Object.keys(clientTransitions)

export const suite = (test, assert) => {
  test('client.state: each event in each state has a case here, or a reason why it cannot happen', () => {
    assert.deepEqual(Object.keys(bring).sort(), [...clientStates].sort())
    assert.deepEqual(Object.keys(causes).sort(), [...clientEvents].sort())
    for (const [state, events] of Object.entries(impossible)) {
      assert.ok(clientStates.includes(state), state)
      for (const event of Object.keys(events)) assert.ok(clientEvents.includes(event), event)
    }
  })

  test('client.state: a new session alone makes a client ready, and nothing takes a revocation back', () => {
    for (const event of clientEvents) {
      for (const state of clientStates) {
        const after = pathOf(clientTransitions, state, [event]).at(-1) ?? state
        assert.notEqual(after === 'no-session' && state !== 'no-session', true, `${state} ${event}`)
        if (after === 'ready' && state !== 'ready') assert.equal(event, 'enrolled', state)
      }
    }
  })

  for (const state of clientStates) {
    for (const event of clientEvents) {
      const excuse = impossible[state]?.[event]
      if (excuse) {
        test(`client.state: ${event} cannot happen in ${state}: ${excuse.reason}`, async () => {
          const given = await bring[state]()
          assert.equal(given.client.state, state)
          assert.ok(excuse.holds(given))
        })
        continue
      }
      const { events, run } = causes[event]
      const path = pathOf(clientTransitions, state, events)
      test(`client.state: ${event} in ${state} leads to ${path.join(', ') || 'no change'}`, async () => {
        const isTwice = state === 'ready' && event === 'enrolled'
        const given = isTwice ? await enrolledTwice() : await bring[state]()
        const { client, told } = given
        if (!isTwice) assert.equal(client.state, state)
        if (!isTwice) told.length = 0
        await (given.run ?? run)(given)
        assert.deepEqual(told, path)
        assert.equal(client.state, path.at(-1) ?? state)
        await client.close()
      })
    }
  }

  test('client.state: the server’s signed word revokes a session', async () => {
    const { client, told } = await bring.revoked()
    assert.deepEqual(told, ['ready', ...pathOf(clientTransitions, 'ready', ['revoked'])])
    await client.close()
  })
}
