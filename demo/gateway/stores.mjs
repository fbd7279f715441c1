// SPDX-License-Identifier: MIT
// Where sessions, codes, request ids, events and statistics are kept: STORE chooses.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import {
  cachedSessions,
  memoryAnswerStore,
  memoryCodeStore,
  memoryEventStore,
  memoryReplayStore,
  memorySessionStore
} from 'countersign/server'
import { memoryStatsStore } from 'countersign/stats-event/server'
import { ConfigError } from './config.mjs'
import { readRing } from './keys.mjs'

const REPLAY_CAPACITY = 2 ** 20

// Clients have pinned the key that is gone: a new one would answer all of them with signatures they refuse.
const demandKey = (keyPath, cure) => {
  if (!existsSync(keyPath)) throw new Error(`${keyPath} is missing, but there are sessions: ${cure}`)
}

const openMemory = ({ dataDir }) => {
  const replay = memoryReplayStore({ capacity: REPLAY_CAPACITY })
  return {
    ring: readRing(dataDir),
    sessions: memorySessionStore(),
    replay,
    codes: memoryCodeStore(),
    events: memoryEventStore(),
    answers: memoryAnswerStore(),
    stats: memoryStatsStore(),
    close: async () => replay.close()
  }
}

const openLmdb = async ({ dataDir, label }, keyPath) => {
  // One label is one session registry and one replay store: another LABEL over the same folder starts its own.
  const path = join(dataDir, `${label}.lmdb`)
  if (existsSync(path)) demandKey(keyPath, `restore it, or move ${path} away to start anew`)
  const ring = readRing(dataDir)
  const { lmdbStores } = await import('countersign/server/lmdb')
  const { lmdbStatsStore } = await import('countersign/stats-event/server/lmdb')
  const stores = lmdbStores({ path, capacity: REPLAY_CAPACITY })
  const stats = lmdbStatsStore({ path: join(dataDir, `${label}.stats.lmdb`) })
  const close = async () => {
    await stores.close()
    await stats.close()
  }
  return { ...stores, ring, stats, close }
}

const openRedis = async ({ store, label, dataDir }, keyPath, log) => {
  const { redisStores } = await import('countersign/server/redis')
  const onState = ({ isUp, error }) =>
    log.line(isUp ? 'store.up' : 'store.down', error ? { error: String(error.message) } : {})
  const stores = await redisStores({ url: store.url, label, capacity: REPLAY_CAPACITY, onState }).catch((error) => {
    throw new ConfigError(`STORE cannot be used: ${error.message}`)
  })
  try {
    if (!(await stores.sessions.isEmpty())) demandKey(keyPath, 'copy it from the gateway that made them')
    const ring = readRing(dataDir)
    const { redisStatsStore } = await import('countersign/stats-event/server/redis')
    const stats = await redisStatsStore({ url: store.url, label })
    const sessions = cachedSessions(stores.sessions)
    const close = async () => {
      sessions.close()
      await stats.close()
      await stores.close()
    }
    return { ...stores, ring, sessions, stats, close }
  } catch (error) {
    await stores.close()
    throw error
  }
}

const kinds = { memory: openMemory, lmdb: openLmdb, redis: openRedis }

/**
 * openStores opens what STORE names, and the server's keys that belong to the sessions in it; rejects in one line where either
 * cannot be used.
 */
export const openStores = async (config, log) =>
  kinds[config.store.kind](config, join(config.dataDir, 'server.key'), log)
