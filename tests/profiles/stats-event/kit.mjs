// SPDX-License-Identifier: MIT
// A server of statistics with a clock of its own, and devices that make events for it.
import assert from 'node:assert/strict'
import { createDeviceKey, signEvent, syncBody } from 'countersign/stats-event'
import { createStats, memoryStatsStore } from 'countersign/stats-event/server'

export const HOUR = 3_600_000
export const DAY = 24 * HOUR
export const NOW = 1_769_601_600_000

/** createWorld makes a server over a store, with `sync` for a body made of events, and a clock that the test moves. */
export const createWorld = ({ store = memoryStatsStore(), ...options } = {}) => {
  const world = { nowMs: NOW, store }
  world.stats = createStats({ store, now: () => world.nowMs, ...options })
  /** Totals default to what the events say. */
  world.sync = async (device, events, totals = {}, request = {}) => {
    const of = (type) => events.filter((event) => event.type === type)
    const hours = of('session').reduce((sum, { data }) => sum + (data.duration_ms ?? 0) / HOUR, 0)
    const claimed = {
      totalHours: totals.totalHours ?? hours,
      totalSessions: totals.totalSessions ?? of('session').length,
      totalInteractions: totals.totalInteractions ?? of('interaction').length
    }
    const body = JSON.stringify(await syncBody(claimed, events, device.key.deviceId, world.nowMs))
    return world.stats.sync({ userId: device.userId, body, ...request })
  }
  /** reasons of a sync that was taken. */
  world.reasons = async (device, events, totals, request) => {
    const { status } = await world.sync(device, events, totals, request)
    assert.equal(status, 200)
    return (await world.stats.standing(device.userId)).reasons
  }
  return world
}

let counter = 0

/** createDevice makes a device of a user, enrolled where a world is given, that signs in one mode. */
export const createDevice = async (
  world,
  { userId = 'ada', mode = 'covered', lowestMode = mode, enrolled = true } = {}
) => {
  const { key, text } = await createDeviceKey()
  const device = { key, text, userId, mode }
  const sign = (fields) => signEvent(key, fields, { mode: device.mode })
  device.session = (startMs, durationMs, more = {}) => {
    counter += 1
    const { timestamp = startMs, ...data } = more
    const times = { start_time: startMs, end_time: startMs + durationMs, duration_ms: durationMs }
    return sign({ type: 'session', data: { id: `s${counter}`, ...times, ...data }, timestamp })
  }
  device.interaction = (timestamp) => sign({ type: 'interaction', data: { tool: 'Edit' }, timestamp })
  if (enrolled) assert.equal(await world.stats.enrol({ userId, key: text, lowestMode }), 'enrolled')
  return device
}

/** setUp gives a world, an enrolled device, and the reasons that sessions of `[startMs, durationMs, more]` leave. */
export const setUp = async (options) => {
  const world = createWorld(options)
  const device = await createDevice(world)
  const sessions = (...list) => Promise.all(list.map((one) => device.session(...one)))
  const reasonsOf = async (...list) => world.reasons(device, await sessions(...list))
  return { world, device, sessions, reasonsOf }
}
