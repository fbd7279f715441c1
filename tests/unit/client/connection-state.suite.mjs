// SPDX-License-Identifier: MIT
// The transition table of connection.state, held against real clients over fake streams, and against the hub that applies it.
// Each case brings a stream into a state, causes an event, and expects what the table says.

import { connectionTransitions } from '../../../dist/client/events/connection-state.js'
import { EventHub } from '../../../dist/client/events/event-hub.js'
import { randomOf } from '../harness/random.mjs'
import { turns, until } from '../harness/wait.mjs'
import { withLocks } from './fake-locks.mjs'
import { createTimers } from './fixture.mjs'
import { listen, listening, live } from './listening.mjs'
import { pathOf, statesOf } from './transitions.mjs'

/** The states of an open stream, each of which a leader may report. */
const OPEN = ['connecting', 'live', 'stale', 'offline']

const withOnline = async (isOnline, run) => {
  const { navigator } = globalThis
  const before = Object.getOwnPropertyDescriptor(navigator, 'onLine')
  Object.defineProperty(navigator, 'onLine', { value: isOnline, configurable: true })
  try {
    return await run()
  } finally {
    if (before) Object.defineProperty(navigator, 'onLine', before)
    else delete navigator.onLine
  }
}

const refusal = (_, answer) => answer({ resultCode: 'cs.unauthenticated', payload: '{}' })

/** No timer of the client fires: it does not try again after a failure. */
const noTimers = () => () => {}

/** A listening client, its state changes, and a tab of the test that can take the lead and report any state. */
const startStream = async (options = { schedule: noTimers }) => {
  const given = await listening(options)
  const { client, store } = given
  const told = []
  let last = client.connection.state
  client.on('connection', ({ state }) => {
    // A view may change in its role, carrier or reason only.
    if (state !== last) told.push(state)
    last = state
  })
  const session = client.sessionId
  const lock = `countersign:demo:${session}:events`
  const channel = new BroadcastChannel(`countersign:demo:${store.scope}`)
  const post = (message) => channel.postMessage({ about: 'events', session, ...message })
  const becomes = (state) =>
    until(
      () => client.connection.state === state,
      () => `the state ${state}, not ${client.connection.state}`
    )

  /** Takes the lock, from the client where it has it. Resolves to the function that releases it. */
  const takeLead = () =>
    new Promise((resolve) => {
      navigator.locks.request(lock, { steal: true }, () => new Promise((release) => resolve(release))).catch(() => {})
    })

  /** Lets the client follow a leader that reports a state. */
  const followIn = async (state) => {
    const release = await takeLead()
    const heard = listen(client.events({ after: 0 }))
    await until(() => client.connection.role === 'follower', 'the client to follow')
    // The client shows reports once the gateway has named the position: ask until it does.
    await until(() => given.streams.opened.length > 0, 'the question for the position')
    post({ state: 'live', carrier: 'sse' })
    await becomes('live')
    post({ state, carrier: 'sse' })
    await becomes(state)
    return { release, heard }
  }

  const end = async () => {
    channel.close()
    await client.close()
  }
  return { ...given, told, post, becomes, takeLead, followIn, end }
}

const pending = () => new Promise(() => {})
const unreachable = () => {
  throw new TypeError('no way to the gateway')
}
const leads = ({ client }) => until(() => client.connection.role === 'leader', 'the client to lead')
const pass = async () => {}

/** Brings a client that holds the stream itself into a state; `stale` lasts no time there. */
const lead = {
  idle: pass,
  connecting: async (given) => {
    given.streams.blocked.sse = pending
    listen(given.client.events({ carrier: 'sse' }))
    await leads(given)
  },
  live: async (given) => {
    given.heard = listen(given.client.events({ carrier: 'sse' }))
    await live(given.client)
  },
  offline: async (given) => {
    given.streams.blocked.sse = unreachable
    listen(given.client.events({ carrier: 'sse' }))
    await given.becomes('offline')
  },
  refused: async (given) => {
    given.streams.blocked.sse = refusal
    await listen(given.client.events({ carrier: 'sse' })).ended()
    given.streams.blocked = {}
  }
}

/** Follows in one state and does the rest there. */
const following = (state, run, given) => async () => {
  const stream = await startStream(given)
  const { release, heard } = await stream.followIn(state)
  stream.told.length = 0
  await run({ ...stream, release, heard })
  return stream
}

const leading = (state, run, given) => async () => {
  const stream = await startStream(given)
  await lead[state](stream)
  stream.told.length = 0
  await run(stream)
  return stream
}

/** The listener leaves before the client gets the lock: nothing but `closed` happens. */
const leaveAtOnce = async ({ client }) => {
  const { locks } = navigator
  const own = Object.getOwnPropertyDescriptor(locks, 'request')
  let isAsked = false
  const value = () => {
    isAsked = true
    return pending()
  }
  Object.defineProperty(locks, 'request', { value, configurable: true })
  try {
    const events = client.events()
    events.next()
    await until(() => isAsked, 'the question for the lock')
    await events.return()
  } finally {
    if (own) Object.defineProperty(locks, 'request', own)
    else delete locks.request
  }
}

const leave = ({ heard }) => heard.iterator.return()
const refuseFollower = async ({ streams, heard, post }) => {
  streams.blocked.poll = refusal
  // A frame far ahead makes the follower ask the gateway.
  post({ frame: await streams.frame({ type: 'n', sequence: 30 }) })
  await heard.ended()
}
const listenOnline = async (given) => {
  given.streams.blocked.sse = pending
  listen(given.client.events({ carrier: 'sse' }))
  await given.becomes('connecting')
}
const listenOffline = (given) =>
  withOnline(false, async () => {
    given.streams.blocked.sse = pending
    listen(given.client.events({ carrier: 'sse' }))
    await given.becomes('offline')
  })
const takeOver = async (given) => {
  given.streams.blocked = { sse: pending }
  given.release()
  await leads(given)
}
const listenBehindLeader = async (given) => {
  await given.takeLead()
  // The question for the position is not answered: nothing but `following` happens.
  given.streams.blocked.poll = pending
  listen(given.client.events())
  await given.becomes('connecting')
}
const loseLead = async (given) => {
  given.streams.blocked.poll = pending
  await given.takeLead()
  await until(() => given.client.connection.role === 'follower', 'the client to follow')
}

/** Real causes: the state to begin in, the events that the cause brings with it, and the cause. */
const streamCases = [
  ['idle', ['attempted'], leading('idle', listenOnline)],
  ['refused', ['attempted'], leading('refused', listenOnline)],
  ['idle', ['attempted-offline'], leading('idle', listenOffline)],
  ['refused', ['attempted-offline'], leading('refused', listenOffline)],
  ...OPEN.flatMap((state) => [
    [state, ['attempted'], following(state, takeOver)],
    [state, ['attempted-offline'], following(state, (given) => withOnline(false, () => takeOver(given)))],
    ...OPEN.map((other) => [
      state,
      [`leader-${other}`],
      following(state, async ({ client, post, becomes }) => {
        post({ state: other, carrier: 'websocket' })
        await until(() => client.connection.carrier === 'websocket', 'the report of the leader')
        await becomes(other)
      })
    ]),
    [state, ['closed'], following(state, leave)],
    [state, ['refused'], following(state, refuseFollower)]
  ]),
  ['idle', ['following'], leading('idle', listenBehindLeader)],
  ['refused', ['following'], leading('refused', listenBehindLeader)],
  ['connecting', ['following'], leading('connecting', loseLead)],
  ['live', ['following'], leading('live', loseLead)],
  ['offline', ['following'], leading('offline', loseLead)],
  ['idle', ['closed'], leading('idle', leaveAtOnce)],
  ['refused', ['closed'], leading('refused', leaveAtOnce)],
  ['idle', ['attempted', 'begun'], leading('idle', lead.live)],
  ['idle', ['attempted-offline', 'begun'], leading('idle', (given) => withOnline(false, () => lead.live(given)))],
  ['idle', ['attempted', 'unreachable'], leading('idle', lead.offline)],
  [
    'live',
    ['unreachable'],
    leading('live', async ({ streams, becomes }) => {
      streams.blocked.sse = unreachable
      for (const connection of streams.connections) connection.send(unreachable)
      await becomes('offline')
    })
  ],
  [
    'idle',
    ['attempted', 'ended'],
    leading('idle', async (given) => {
      given.streams.blocked.sse = new Response('<p>Sign in to the hotel</p>')
      listen(given.client.events({ carrier: 'sse' }))
      await until(() => given.client.connection.reason, 'the end of the connection')
    })
  ],
  [
    'live',
    ['ended'],
    leading('live', async ({ streams, becomes }) => {
      streams.blocked.sse = pending
      streams.cut()
      await becomes('connecting')
    })
  ],
  [
    'idle',
    ['attempted', 'begun', 'silent', 'ended'],
    async () => {
      const timers = createTimers()
      const { monotonicNow, now } = timers.clocks
      const stream = await timers.run(startStream({ schedule: timers.schedule, monotonicNow, now }))
      listen(stream.client.events({ carrier: 'sse' }))
      await live(stream.client)
      stream.streams.blocked.sse = pending
      await timers.run(until(() => stream.told.length >= 4, 'the end of the silent connection'))
      return stream
    }
  ],
  [
    'idle',
    ['attempted-offline', 'ended'],
    leading('idle', (given) =>
      withOnline(false, async () => {
        given.streams.blocked.sse = async () => {
          await new Promise((resolve) => {
            given.answer = resolve
          })
          return new Response('<p>Sign in to the hotel</p>')
        }
        listen(given.client.events({ carrier: 'sse' }))
        await given.becomes('offline')
        await until(() => given.answer, 'the request')
        await withOnline(true, async () => {
          given.answer()
          await given.becomes('connecting')
          given.streams.blocked.sse = pending
        })
      })
    )
  ],
  [
    'idle',
    ['attempted-offline', 'unreachable'],
    leading('idle', (given) =>
      withOnline(false, async () => {
        given.streams.blocked.sse = unreachable
        listen(given.client.events({ carrier: 'sse' }))
        await until(() => given.client.connection.reason, 'the end of the connection')
      })
    )
  ]
]

/** Transitions of the table that no cause of a test can bring about alone. */
const uncausedTransitions = {
  'stale following': 'a client that leads is stale only until it gives up the connection, in the same turn',
  'stale unreachable': 'the silence has ended that connection with a time-out, which is no sign of a lost network',
  'idle refused': 'a client tries to connect before the gateway can refuse the stream',
  'refused refused': 'a client tries to connect before the gateway can refuse the stream'
}

/** Lists the transitions that a case shows, as `state event`. */
const transitionsOf = ([first, events]) =>
  events.map((event, index) => {
    const before = pathOf(connectionTransitions, first, events.slice(0, index)).at(-1) ?? first
    return `${before} ${event}`
  })

const streamStates = statesOf(connectionTransitions, 'idle')
const streamEvents = Object.keys(connectionTransitions)
const streamTransitions = streamEvents.flatMap((event) =>
  (connectionTransitions[event].from ?? streamStates).map((state) => `${state} ${event}`)
)

export const suite = (test, assert) => {
  test('connection.state: each transition of the table has a case here, or a reason why it has none', () => {
    const covered = new Set(streamCases.flatMap(transitionsOf))
    for (const transition of covered) assert.ok(streamTransitions.includes(transition), transition)
    assert.deepEqual(
      streamTransitions.filter((transition) => !covered.has(transition)).sort(),
      Object.keys(uncausedTransitions).sort()
    )
  })

  for (const [first, events, run] of streamCases) {
    const path = pathOf(connectionTransitions, first, events)
    test(`connection.state: ${events.join(', ')} in ${first} leads to ${path.join(', ') || 'no change'}`, () =>
      withLocks(async () => {
        const stream = await run()
        assert.deepEqual(stream.told, path)
        assert.equal(stream.client.connection.state, path.at(-1) ?? first)
        await stream.end()
      }))
  }

  test('connection.state: a late report of a leader opens no stream', () =>
    withLocks(async () => {
      const stream = await startStream()
      const { heard } = await stream.followIn('live')
      await heard.iterator.return()
      for (const state of OPEN) stream.post({ state, carrier: 'sse' })
      await turns()
      assert.deepEqual([stream.told.at(-1), stream.client.connection.state], ['idle', 'idle'])
      await stream.end()
    }))

  test('connection.state: only a verified answer makes a stream live, and only a signed one refuses it', () => {
    const leadTo = (state) => streamEvents.filter((event) => connectionTransitions[event].to === state)
    assert.deepEqual(leadTo('live'), ['begun', 'leader-live'])
    assert.deepEqual(leadTo('refused'), ['refused'])
    assert.deepEqual(leadTo('idle'), ['closed'])
  })

  test('connection.state: in a state that its row does not name, no event changes anything', () => {
    const random = randomOf('connection.state')
    const views = []
    const host = { connectionChanged: (view) => views.push(view) }
    const hub = new EventHub(host, { run: pending, catchUp: pending })
    let state = 'idle'
    const seen = new Set()
    for (let step = 0; step < 5000; step++) {
      const event = streamEvents[Math.floor(random.fraction() * streamEvents.length)]
      const [next = state] = pathOf(connectionTransitions, state, [event])
      const { length } = views
      const before = hub.view
      hub.apply(event)
      assert.equal(hub.view.state, next, `${event} in ${state}`)
      if (next === state) assert.ok(hub.view === before && views.length === length, `${event} in ${state}`)
      else assert.equal(views.at(-1), hub.view)
      seen.add(`${state} ${event}`)
      state = next
    }
    assert.equal(seen.size, streamStates.length * streamEvents.length)
  })
}
