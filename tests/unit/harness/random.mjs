// SPDX-License-Identifier: MIT
// Random choices of tests, all from one seed: COUNTERSIGN_SEED in Node, `seed` in the address of a page. The runner prints it.
import { seeded } from './bytes.mjs'

const environment = globalThis.process?.env
const given =
  environment?.COUNTERSIGN_SEED ?? new URL(globalThis.location?.href ?? 'node:none').searchParams.get('seed')

/** The seed of this run. */
export const runSeed = given ? Number(given) : Math.floor(Math.random() * 2 ** 31)

// A file that runs by itself has no runner that prints it.
if (environment && !given) {
  environment.COUNTERSIGN_SEED = String(runSeed)
  console.error(`COUNTERSIGN_SEED=${runSeed} repeats the random choices of this run`)
}

/** randomOf gives the generator of one test, by its name: what other tests draw does not change what it draws. */
export const randomOf = (name) => {
  let mixed = runSeed
  for (const char of name) mixed = (Math.imul(mixed, 31) + char.codePointAt(0)) >>> 0
  const random = seeded(mixed)
  return { ...random, fraction: () => random.next() / 2 ** 32 }
}
