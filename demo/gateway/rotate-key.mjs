#!/usr/bin/env node
// SPDX-License-Identifier: MIT
// countersign-gateway rotate-key: changes the server's key in steps (README.md beside this file). The gateway reads its keys
// at its start, so each step takes effect with a restart.
import { lstatSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { announce, FILES, readRing, renew, retire, switchKeys } from './keys.mjs'

const USAGE = `usage: node demo/gateway/rotate-key.mjs [status | announce | switch | renew | retire]
  --data DIR         the gateway's DATA_DIR; default: the variable DATA_DIR, else ./data
  --dry-run          prints the effects of the step and changes nothing
  --not-before TIME  announce: the first moment the next key may sign (ISO 8601, UTC with a Z)
  --overlap DAYS     announce, renew: how long clients trust a delivered key; default 60, at most 89
  --force            retire within a day of the switch
`

const DAY_MS = 86_400_000
// A client takes 90 days from the time of the answer it gets; the clocks of gateways differ, and so do their restarts.
const LONGEST_DAYS = 89

class Refused extends Error {}

const refuse = (why) => {
  throw new Refused(why)
}

const dateOf = (ms) => new Date(ms).toISOString().replace('.000', '')
const daysOf = (ms) => `${(ms / DAY_MS).toFixed(1)} days`

const readArguments = (args) => {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      data: { type: 'string', default: process.env.DATA_DIR || './data' },
      'dry-run': { type: 'boolean', default: false },
      'not-before': { type: 'string' },
      overlap: { type: 'string', default: '60' },
      force: { type: 'boolean', default: false }
    }
  })
  const [step = 'status', ...rest] = positionals
  if (rest.length > 0 || !Object.hasOwn(steps, step)) refuse(USAGE)
  const { data: folder, overlap, 'not-before': from, 'dry-run': isDry, force } = values
  if (!/^\d{1,2}$/.test(overlap) || Number(overlap) < 1 || Number(overlap) > LONGEST_DAYS)
    refuse(`--overlap must be a whole number of days from 1 to ${LONGEST_DAYS}`)
  const notBefore = from === undefined ? undefined : Date.parse(from)
  if (Number.isNaN(notBefore) || (from !== undefined && !/(Z|[+-]\d\d:\d\d)$/.test(from)))
    refuse('--not-before must be a time such as 2030-01-31T12:00:00Z')
  const notAfter = Math.max(Date.now(), notBefore ?? 0) + Number(overlap) * DAY_MS
  if (notAfter > Date.now() + LONGEST_DAYS * DAY_MS)
    refuse(
      `--not-before and --overlap together reach further than ${LONGEST_DAYS} days from now: clients would refuse the set`
    )
  return { folder, step, isDry, force, dates: { notBefore, notAfter } }
}

const entryOf = ({ keyId, publicKey }) =>
  `{ id: '${keyId}', publicKey: '${Buffer.from(publicKey).toString('base64')}' }`

const learned = ({ set, next, signer }) => set.keys.find(({ id }) => id === (next ?? signer).keyId)

const phaseOf = ({ next, previous }) => {
  if (previous) return 'switched'
  return next ? 'announced' : 'steady'
}

/** Each step: what has to be so, what it will do, whom it would break, and the doing. */
const steps = {
  status: {
    check() {},
    tell: (ring) => [
      `${ring.signer.keyId} signs; ${ring.keySigner.keyId} signs cs.keys and enrolments`,
      ...(ring.next ? [`${ring.next.keyId} is announced`] : []),
      ...ring.set.keys.map(
        ({ id, notAfter }) => `${id} is delivered until ${dateOf(notAfter)}, serial ${ring.set.serial}`
      ),
      `next: ${{ steady: 'announce', announced: 'ship the announced key to clients, then switch', switched: 'retire, once no client has only the old key' }[phaseOf(ring)]}`
    ]
  },

  announce: {
    check: ({ previous }) => previous && refuse('a change is under way: renew or retire first'),
    tell: ({ signer, next, set }, { dates: { notBefore, notAfter } }) => [
      next ? `${next.keyId} is announced again` : 'a next key is made',
      `cs.keys delivers it${notBefore === undefined ? '' : ` from ${dateOf(notBefore)}`} until ${dateOf(notAfter)}, serial ${set.serial + 1}`,
      `${signer.keyId} continues to sign: no client is affected`,
      'active clients learn the next key within a day, the others at their first answer after the switch',
      'afterwards: restart the gateways, and ship the next key in the configuration of your clients'
    ],
    run: (folder, ring, { dates }) => announce(folder, ring, dates)
  },

  switch: {
    check(ring) {
      if (ring.previous) refuse('the switch has been made: retire the old key first')
      if (!ring.next) refuse('there is no next key: announce one first')
      const { notBefore = 0, notAfter } = learned(ring) ?? refuse('the next key is not delivered: announce it again')
      if (Date.now() < notBefore) refuse(`clients believe the next key only from ${dateOf(notBefore)} on`)
      if (Date.now() > notAfter - DAY_MS)
        refuse(`clients believe the next key only until ${dateOf(notAfter)}: renew first`)
    },
    tell: (ring) => [
      `${ring.next.keyId} signs, ${ring.signer.keyId} goes on signing cs.keys and enrolments`,
      `clients that have only ${ring.signer.keyId} keep working: they took the set, or they ask at their first answer`,
      `they can do so until ${dateOf(learned(ring).notAfter)} (${daysOf(learned(ring).notAfter - Date.now())}); renew before that, as often as needed`,
      `clients that cannot ask (countersign 0.1) and have only ${ring.signer.keyId} refuse every answer: ERR_UNKNOWN_KEY`,
      'afterwards: restart the gateways; until then, a gateway signs with the old key, which every client still accepts'
    ],
    run: (folder) => switchKeys(folder)
  },

  renew: {
    check: (ring) => learned(ring) ?? refuse('nothing is delivered: announce first'),
    tell: ({ set, next, signer }, { dates: { notAfter } }) => [
      `${(next ?? signer).keyId} is delivered until ${dateOf(notAfter)}, serial ${set.serial + 1}: no client is affected`,
      'afterwards: restart the gateways'
    ],
    run: (folder, ring, { dates }) => renew(folder, ring, dates)
  },

  retire: {
    check({ previous }, { force, folder }) {
      if (!previous) refuse('there is no old key to retire')
      const sinceMs = Date.now() - lstatSync(join(folder, FILES.old)).ctimeMs
      if (sinceMs < DAY_MS && !force)
        refuse(
          'the switch is less than a day old: some clients may not know the next key yet; --force retires the old key anyway'
        )
    },
    tell: (ring) => [
      `${ring.previous.keyId} is removed for good; ${ring.signer.keyId} signs everything`,
      `clients that have only ${ring.previous.keyId} and took the set keep working until ${dateOf(learned(ring)?.notAfter ?? 0)}, then refuse every answer: ERR_KEY_NOT_VALID`,
      `clients that have only ${ring.previous.keyId} and did not take the set, and new enrolments with it, fail at once: ERR_UNKNOWN_KEY`,
      `these clients need this in their configuration: ${entryOf(ring.signer)}`,
      'afterwards: restart the gateways'
    ],
    run: (folder, ring) => retire(folder, ring)
  }
}

const main = () => {
  // The keys are nobody else's to read.
  process.umask(0o077)
  try {
    const given = readArguments(process.argv.slice(2))
    const { folder, step, isDry } = given
    lstatSync(join(folder, FILES.key))
    const ring = readRing(folder)
    const { check, tell, run } = steps[step]
    check(ring, given)
    if (run && !isDry) run(folder, ring, given)
    const said = tell(ring, given)
    process.stdout.write(said.map((line) => `${isDry ? 'would: ' : ''}${line}\n`).join(''))
    if (step === 'announce' && !isDry) process.stdout.write(`the next key: ${entryOf(readRing(folder).next)}\n`)
  } catch (error) {
    const why =
      error.code === 'ENOENT' ? `${error.path} does not exist: start the gateway once, or give --data` : error.message
    process.stderr.write(`rotate-key: ${why}\n`)
    process.exitCode = 1
  }
}

main()
