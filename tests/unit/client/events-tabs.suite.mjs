// SPDX-License-Identifier: MIT
// One stream for all tabs: one leads, the others are fed and verify for themselves, and no hand-over loses or repeats an
// event. A tab is a client with the same store here; what tabs say to each other goes through the browser all the same.

import { connect } from 'countersign'
import { withLocks } from './fake-locks.mjs'
import { createTimers } from './fixture.mjs'
import { listen, listening, live, until } from './listening.mjs'

const numbers = (heard) => heard.events.map(({ sequence }) => sequence)
const upTo = (count, from = 1) => Array.from({ length: count - from + 1 }, (_, at) => at + from)

export const suite = (test, assert) => {
  /** Several clients of one session, each listening. */
  const openTabs = async (count, given = {}) => {
    const { client, streams, options, gateway } = await listening(given)
    const tabs = [client]
    while (tabs.length < count) tabs.push(await connect(options))
    return { tabs, streams, options, gateway }
  }
  const roles = (tabs) => tabs.map(({ connection }) => connection.role)
  const onlyLeader = (tabs) => tabs.find(({ connection }) => connection.role === 'leader')

  test('one tab holds the stream, and all get every event in its order', () =>
    withLocks(async () => {
      const { tabs, streams } = await openTabs(3)
      const heard = [listen(tabs[0].events({ after: 0 }))]
      await live(tabs[0])
      for (const tab of tabs.slice(1)) heard.push(listen(tab.events({ after: 0 })))
      for (const tab of tabs) await live(tab)
      assert.deepEqual(roles(tabs), ['leader', 'follower', 'follower'])
      for (let number = 1; number <= 50; number++) streams.publish('n', `${number}`)
      for (const one of heard) await one.count(50)
      for (const one of heard) assert.deepEqual(numbers(one), upTo(50))
      assert.equal([...streams.connections].length, 1)
      assert.deepEqual(
        tabs.map(({ connection }) => connection.carrier),
        ['sse', 'sse', 'sse']
      )
      for (const tab of tabs) await tab.close()
    }))

  test('E12 a tab that leads closes again and again, while events come: none is lost, none comes twice', () =>
    withLocks(async () => {
      const { tabs, streams, options } = await openTabs(4)
      const all = tabs.map((tab) => ({ tab, heard: listen(tab.events({ after: 0 })) }))
      let isOver = false
      const publishing = (async () => {
        while (!isOver) {
          streams.publish('n')
          await new Promise((resolve) => setTimeout(resolve, 3))
        }
      })()
      for (let round = 0; round < 6; round++) {
        await until(() => onlyLeader(all.map(({ tab }) => tab)), 'a leader')
        const leader = onlyLeader(all.map(({ tab }) => tab))
        const [gone] = all.splice(
          all.findIndex(({ tab }) => tab === leader),
          1
        )
        await gone.tab.close()
        const before = streams.log.length
        await all[0].heard.count(before)
        const tab = await connect(options)
        all.push({ tab, heard: listen(tab.events({ after: 0 })) })
      }
      isOver = true
      await publishing
      const last = streams.log.length
      for (const { heard } of all) await heard.count(last)
      for (const { heard } of all) assert.deepEqual(numbers(heard), upTo(last))
      assert.equal(roles(all.map(({ tab }) => tab)).filter((role) => role === 'leader').length, 1)
      for (const { tab } of all) await tab.close()
    }))

  test('a listener that leaves while the lock is asked for leaves the stream idle, and the next one follows', () =>
    withLocks(async () => {
      const { tabs, streams } = await openTabs(2)
      const first = listen(tabs[0].events({ after: 0 }))
      await live(tabs[0])
      const { locks } = globalThis.navigator
      const own = Object.getOwnPropertyDescriptor(locks, 'request')
      const request = locks.request.bind(locks)
      let grant
      const value = async (...given) => {
        await new Promise((resolve) => {
          grant = resolve
        })
        return request(...given)
      }
      Object.defineProperty(locks, 'request', { value, configurable: true })
      const leaving = tabs[1].events()
      leaving.next()
      await until(() => grant, 'the question for the lock')
      if (own) Object.defineProperty(locks, 'request', own)
      else delete locks.request
      await leaving.return()
      grant()
      await new Promise((resolve) => setTimeout(resolve, 50))
      assert.deepEqual([tabs[1].connection.state, tabs[1].connection.role], ['idle', 'none'])
      const heard = listen(tabs[1].events({ after: 0 }))
      await live(tabs[1])
      assert.deepEqual(roles(tabs), ['leader', 'follower'])
      streams.publish('n')
      for (const one of [first, heard]) await one.count(1)
      for (const tab of tabs) await tab.close()
    }))

  test('a tab that comes late asks for what it has missed, and only that', () =>
    withLocks(async () => {
      const { tabs, streams } = await openTabs(2)
      const first = listen(tabs[0].events())
      await live(tabs[0])
      for (let number = 1; number <= 20; number++) streams.publish('n')
      await first.count(20)
      const late = listen(tabs[1].events({ after: { stream: streams.stream, sequence: 12 } }))
      await late.count(8)
      streams.publish('n')
      await late.count(9)
      assert.deepEqual(numbers(late), upTo(21, 13))
      assert.equal(tabs[1].connection.role, 'follower')
      assert.equal(streams.opened.filter(({ carrier }) => carrier === 'sse').length, 1)
      for (const tab of tabs) await tab.close()
    }))

  test('a leader that has fallen silent is replaced, and follows when it is back', () =>
    withLocks(async () => {
      const timers = createTimers()
      const { monotonicNow, now } = timers.clocks
      const { client, streams, gateway } = await timers.run(listening({ schedule: timers.schedule, monotonicNow, now }))
      const name = `countersign:demo:${client.sessionId}:events`
      let isTaken = false
      // A tab that holds the lock and does nothing: frozen, or stuck.
      navigator.locks
        .request(name, () => new Promise(() => {}))
        .catch(() => {
          isTaken = true
        })
      const heard = listen(client.events({ after: 0 }))
      for (const _ of [1, 2, 3]) streams.publish('n')
      await timers.run(heard.count(3))
      assert.equal(client.connection.role, 'follower')
      await timers.run(until(() => client.connection.role === 'leader' && client.connection.state === 'live'))
      assert.ok(isTaken)
      streams.publish('n')
      await timers.run(heard.count(4))
      assert.deepEqual(numbers(heard), upTo(4))

      await new Promise((resolve) => {
        navigator.locks
          .request(name, { steal: true }, () => {
            resolve()
            return new Promise(() => {})
          })
          .catch(() => {})
      })
      await timers.run(until(() => client.connection.role === 'follower'))
      assert.equal(gateway.sessions.size, 1)
      await client.close()
    }))

  test('E12 what a tab makes up is no event: every frame is verified by whoever gets it', () =>
    withLocks(async () => {
      const { tabs, streams, gateway, options } = await openTabs(2)
      const heard = [listen(tabs[0].events())]
      await live(tabs[0])
      heard.push(listen(tabs[1].events()))
      await live(tabs[1])
      streams.publish('n')
      for (const one of heard) await one.count(1)
      const stranger = await gateway.foreignKey()
      const session = tabs[0].sessionId
      const channel = new BroadcastChannel(`countersign:demo:${options.store.scope}`)
      const made = [
        await streams.frame({ type: 'n', sequence: 2, session, payload: 'forged', sign: stranger.sign }),
        await streams.frame({ type: 'n', sequence: 2, session: 'C'.repeat(22), payload: 'another session' }),
        await streams.frame({ type: 'n', sequence: 30, session, payload: 'too early' }),
        await streams.frame({ type: 'n', sequence: 1, session, payload: 'again' }),
        new Uint8Array(7)
      ]
      for (const frame of made) channel.postMessage({ about: 'events', session, frame })
      channel.postMessage({ about: 'events', session, state: 'refused' })
      channel.postMessage({ about: 'events', session, frame: 'text' })
      streams.publish('n', 'real')
      for (const one of heard) await one.count(2)
      for (const one of heard) assert.deepEqual(one.got, ['n 1 ', 'n 2 real'])
      assert.equal(tabs[1].connection.state, 'live')
      channel.close()
      for (const tab of tabs) await tab.close()
    }))

  test('a tab that is denied locks has a stream of its own', () =>
    withLocks(async () => {
      const { locks } = navigator
      const own = Object.getOwnPropertyDescriptor(locks, 'request')
      const request = () => Promise.reject(new DOMException('denied', 'SecurityError'))
      Object.defineProperty(locks, 'request', { value: request, configurable: true, writable: true })
      try {
        const { tabs, streams } = await openTabs(1)
        const heard = listen(tabs[0].events())
        await live(tabs[0])
        assert.equal(tabs[0].connection.role, 'alone')
        streams.publish('n')
        await heard.count(1)
        await tabs[0].close()
      } finally {
        if (own) Object.defineProperty(locks, 'request', own)
        else delete locks.request
      }
    }))

  test('a revocation on the stream reaches every tab', () =>
    withLocks(async () => {
      const { tabs, streams } = await openTabs(3)
      const heard = []
      for (const tab of tabs) {
        heard.push(listen(tab.events()))
        await live(tab)
      }
      streams.revoke()
      for (const one of heard) {
        await one.ended()
        assert.equal(one.error?.code, 'ERR_SESSION_REVOKED')
      }
      assert.deepEqual(
        tabs.map(({ state }) => state),
        ['revoked', 'revoked', 'revoked']
      )
      for (const tab of tabs) await tab.close()
    }))
}
