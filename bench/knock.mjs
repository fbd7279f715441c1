// SPDX-License-Identifier: MIT
// `npm run bench:knock`: the parts of a knock in Node, median of rounds. Exit code 1 where the public operation of 2048 bits
// takes more than a millisecond.
import { generateKeyPairSync } from 'node:crypto'
import { importKnockKey, knockPacket, loadKnockCore, sealKnock, verifyKnock } from 'countersign/knock'

const ROUNDS = 300
const LIMIT_MS = 1

const pairOf = (modulusLength) => {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength })
  return {
    pem: publicKey.export({ type: 'spki', format: 'pem' }),
    spki: new Uint8Array(publicKey.export({ type: 'spki', format: 'der' })),
    pkcs8: new Uint8Array(privateKey.export({ type: 'pkcs8', format: 'der' }))
  }
}

const median = async (run, rounds = ROUNDS) => {
  const times = []
  for (let round = -20; round < rounds; round++) {
    const started = performance.now()
    await run()
    if (round >= 0) times.push(performance.now() - started)
  }
  return times.sort((one, other) => one - other)[rounds >> 1]
}

const core = await loadKnockCore()
const key = await importKnockKey(new Uint8Array(32).fill(1))
const fields = { timestamp: 1_700_000_000, userId: 1, actionId: 1, challenge: 1, payload: new Uint8Array(199) }
const packet = await knockPacket(fields, key)
const rows = []
for (const bits of [2048, 3072, 4096]) {
  const { spki, pkcs8 } = pairOf(bits)
  const padding = new Uint8Array(bits / 8 - 3 - packet.length).fill(1)
  const block = core.encrypt(spki, packet, padding)
  rows.push([`public operation, ${bits} bits`, await median(() => core.encrypt(spki, packet, padding))])
  rows.push([`private operation, ${bits} bits`, await median(() => core.decrypt(pkcs8, block, packet.length), 40)])
}
const { pem } = pairOf(2048)
rows.push(['knockPacket', await median(() => knockPacket(fields, key))])
for (const version of [1, 3]) {
  rows.push([`sealKnock, version ${version}`, await median(() => sealKnock({ ...fields, version }, key, pem))])
}
rows.push(['verifyKnock', await median(() => verifyKnock(packet, key, { nowSeconds: fields.timestamp }))])
console.log(`Node ${process.version}, median milliseconds`)
for (const [name, ms] of rows) console.log(`  ${name.padEnd(32)}${ms.toFixed(3).padStart(9)}`)
const [[, publicMs]] = rows
console.log(`public operation ${publicMs <= LIMIT_MS ? 'within' : 'OVER'} ${LIMIT_MS} ms`)
process.exitCode = publicMs <= LIMIT_MS ? 0 : 1
