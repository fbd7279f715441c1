// SPDX-License-Identifier: MIT
// Simulated visits of devices whose clocks are wrong, jump and sleep, over networks that delay and lose (rows C3 to C7): each
// run says how wrong the client's estimate was and what it had stated. bench/clock.mjs prints them, a test runs a few.
import { createTestWorld, insecureRandom } from 'countersign/testing'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const YEAR = 365.25 * 24 * HOUR

/** What is wrong with a device: its wall clock at the start, and what happens to it between two requests. */
export const troubles = {
  '-10 years': { skewMs: -10 * YEAR },
  '-7 h': { skewMs: -7 * HOUR },
  '-31 s': { skewMs: -31_000 },
  '+31 s': { skewMs: 31_000 },
  '+7 h': { skewMs: 7 * HOUR },
  'jumps +2 h': { happens: async ({ clock }) => clock.step(2 * HOUR) },
  'jumps -2 h': { happens: async ({ clock }) => clock.step(-2 * HOUR) },
  'asleep 3 h, monotonic clock stands': { happens: ({ clock }) => clock.sleep(3 * HOUR) },
  'asleep 3 h, monotonic clock runs': { happens: ({ clock }) => clock.sleep(3 * HOUR, { monotonic: 'runs' }) }
}

const REQUESTS = 4

// Loss on one way only, so that what the client measures is lopsided too.
const faultsOf = (random) => {
  const delay = { delayMs: [0, random.between(1, 2000)] }
  const lossy = { ...delay, loss: 0.2 }
  return random.chance(0.5) ? { up: lossy, down: delay } : { up: delay, down: lossy }
}

const sendOne = async (run) => {
  const { world, client } = run
  const from = world.network.log.length
  // Tries and time enough for the losses: what is counted here is what the clock costs.
  const options = { idempotencyKey: `k${run.sent++}`, timeoutMs: 10 * MINUTE }
  const { resultCode } = await world.run(client.request('demo.echo', '', options))
  const stale = world.network.log
    .slice(from)
    .filter(({ what, type, status }) => what === 'delivered' && type === 'demo.echo' && status === 401)
  run.corrections.push(stale.length)
  if (resultCode !== 'ok') throw new Error(`answered ${resultCode}`)
}

const look = (run) => {
  const { client, world, samples } = run
  const view = client.clock
  if (view.source === 'none') return
  samples.push({ trueMs: Math.abs(view.now() - world.time.nowMs), statedMs: view.errorMs })
}

const visit = async (run, { happens }, device) => {
  const { world, random } = run
  const { skewMs = 0 } = run.trouble
  const clock = run.clock ?? world.time.createClock({ skewMs, driftPpm: random.between(-200, 200) })
  const connected = await world.connect({
    ...(device ? { device } : {}),
    clock,
    faults: faultsOf(random),
    retries: 10
  })
  Object.assign(run, { clock, client: connected.client })
  for (let request = 0; request < REQUESTS; request++) {
    if (request === REQUESTS >> 1) await happens?.(run)
    look(run)
    await sendOne(run)
    look(run)
    await world.advance(random.between(0, random.chance(0.3) ? 20 * MINUTE : 5000))
    look(run)
  }
  await run.client.close()
  return connected.device
}

/** simulate makes one run: two visits of one device. Resolves to `{ samples, corrections }`; rejects where a request failed. */
export const simulate = async (seed, trouble) => {
  const world = await createTestWorld({ seed })
  const run = { world, trouble, random: insecureRandom(`${seed} run`), samples: [], corrections: [], sent: 0 }
  try {
    const device = await visit(run, trouble)
    await visit(run, trouble, device)
  } finally {
    await world.close()
  }
  return { samples: run.samples, corrections: run.corrections }
}

/** campaign makes `runs` runs over all troubles; gives what each came to, violations listed by seed. */
export const campaign = async (runs, onRun = () => {}) => {
  const names = Object.keys(troubles)
  const results = Object.fromEntries(names.map((name) => [name, { runs: 0, samples: [], corrections: [] }]))
  const violations = []
  for (let seed = 1; seed <= runs; seed++) {
    const name = names[seed % names.length]
    const result = results[name]
    try {
      const { samples, corrections } = await simulate(seed, troubles[name])
      result.samples.push(...samples)
      result.corrections.push(...corrections)
      for (const { trueMs, statedMs } of samples) {
        if (!(trueMs <= statedMs)) violations.push(`seed ${seed} (${name}): ${trueMs} ms wrong, ${statedMs} ms stated`)
      }
      if (corrections.some((count) => count > 1)) violations.push(`seed ${seed} (${name}): corrected twice`)
    } catch (error) {
      violations.push(`seed ${seed} (${name}): ${error.code ?? error.message}`)
    }
    result.runs += 1
    onRun(seed)
  }
  return { results, violations }
}
