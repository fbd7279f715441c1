#!/usr/bin/env node
// SPDX-License-Identifier: MIT
// countersign-gateway clock: says how far the gateways' clock is ahead, and brings it back (README.md beside this file). It
// takes the settings of the gateway, which must be stopped.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { bringBackClock } from 'countersign/server'
import { readConfig } from './config.mjs'

const USAGE = `usage: node demo/gateway/clock.mjs [status | back] [--dry-run]
  Takes DATA_DIR, STORE, LABEL, PAST_MS and FUTURE_MS from the environment, as the gateway does.
`

const dateOf = (ms) => new Date(ms).toISOString()

const openStores = async ({ store, dataDir, label }) => {
  if (store.kind === 'memory') throw new Error('STORE=memory keeps no clock: restart the gateway')
  if (store.kind === 'redis') {
    const { redisStores } = await import('countersign/server/redis')
    return redisStores({ url: store.url, label })
  }
  const path = join(dataDir, `${label}.lmdb`)
  if (!existsSync(path)) throw new Error(`${path} does not exist: set DATA_DIR and LABEL as for the gateway`)
  const { lmdbStores } = await import('countersign/server/lmdb')
  return lmdbStores({ path })
}

const tell = ({ state, aheadMs, reason, burnt, fenceMs, ends }) => {
  if (state === 'refused') return [`the clock is ${Math.round(aheadMs / 1000)} s ahead and stays so: ${reason}`]
  if (state === 'steady') return ['the clock is not ahead: there is nothing to do']
  return [
    `the clock, ${Math.round(aheadMs / 1000)} s ahead, comes back to the system's time`,
    ...burnt.map(({ fromMs, toMs }) => `no request dated ${dateOf(fromMs)} to ${dateOf(toMs)} is ever accepted`),
    `requests dated up to ${dateOf(fenceMs)} are refused; clients try again after that`,
    'open sign-ins begin anew; times of sessions that lie ahead become the present time',
    ...ends.map((id) => `session ${id} ends: a request of it was dated ahead, and its id may have been forgotten`),
    ...(ends.length === 0 ? ['no session ends'] : []),
    'a client that was open, without an answer, for more than a day since then may lose its session at its next request'
  ]
}

const main = async () => {
  process.umask(0o077)
  try {
    const [step = 'status', ...flags] = process.argv.slice(2)
    if (!['status', 'back'].includes(step) || flags.some((flag) => flag !== '--dry-run')) throw new Error(USAGE)
    const config = readConfig(process.env)
    const { sessions, replay, close } = await openStores(config)
    const isDry = step === 'status' || flags.length > 0
    try {
      const report = await bringBackClock({ sessions, replay, window: config.window, isDry })
      const said = tell(report)
      process.stdout.write(said.map((line) => `${isDry && report.state === 'back' ? 'would: ' : ''}${line}\n`).join(''))
      if (report.state === 'refused') process.exitCode = 1
    } finally {
      await close()
    }
  } catch (error) {
    process.stderr.write(`clock: ${error.message}\n`)
    process.exitCode = 1
  }
}

await main()
