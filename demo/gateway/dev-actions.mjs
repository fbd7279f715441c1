// SPDX-License-Identifier: MIT
// What a person at this machine may do to a running gateway, so as to see it: restart it, and change its key step by step.
import { announce, readRing, retire, switchKeys } from './keys.mjs'

// For a demonstration; rotate-key chooses the dates of a real change.
const OVERLAP_MS = 60 * 86_400_000

/** Each step: where the change has to stand, and the doing. */
const STEPS = {
  announce: { from: 'steady', run: (folder, ring) => announce(folder, ring, { notAfter: Date.now() + OVERLAP_MS }) },
  switch: { from: 'announced', run: switchKeys },
  retire: { from: 'switched', run: retire }
}

const phaseOf = ({ next, previous }) => {
  if (previous) return 'switched'
  return next ? 'announced' : 'steady'
}

/**
 * devActions returns the actions of `/dev` by name: `restart`, and `server-key`, which tells where a change of the key stands
 * and takes the step it is given. `restart(change)` restarts the gateway, and runs `change` while it is down.
 */
export const devActions = ({ dataDir, restart }) => ({
  restart() {
    restart(() => {})
    return { restarting: true }
  },
  'server-key'(given) {
    const ring = readRing(dataDir)
    const { signer, next, previous } = ring
    const phase = phaseOf(ring)
    const step = given('step')
    const stands = { phase, signer: signer.keyId, next: next?.keyId, previous: previous?.keyId }
    if (step === '') return stands
    if (!Object.hasOwn(STEPS, step) || STEPS[step].from !== phase) return undefined
    restart(() => STEPS[step].run(dataDir, ring))
    return { ...stands, restarting: true }
  }
})
