// SPDX-License-Identifier: MIT
// A door that opens to knocks, for the demo page: a daemon on a UDP port of this machine, reached through the relay. Its keys are
// made when it starts, and each session gets one of its own.
import { generateKeyPair, randomBytes } from 'node:crypto'
import { promisify } from 'node:util'
import { importKnockKey } from 'countersign/knock'
import { createKnockListener } from 'countersign/knock/node'

const USERS = 4096
const ACTION = 1

const makePair = async () => {
  const { publicKey, privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: 2048 })
  return {
    publicPem: publicKey.export({ type: 'spki', format: 'pem' }),
    privatePem: privateKey.export({ type: 'pkcs8', format: 'pem' })
  }
}

/** createDoor starts the daemon and resolves to `{ target, routes, close }`; an opened door is told to its session as an event. */
export const createDoor = async ({ publish, log }) => {
  const { publicPem, privatePem } = await makePair()
  const bySession = new Map()
  const byId = new Map()
  let next = 1

  const enrol = async (sessionId) => {
    const secret = randomBytes(32)
    const key = await importKnockKey(secret)
    // Nothing waits from here on: two sessions that ask at once must not get one number.
    const known = bySession.get(sessionId)
    if (known) return known
    if (byId.size >= USERS) {
      const [oldest] = byId.values()
      byId.delete(oldest.id)
      bySession.delete(oldest.sessionId)
    }
    const user = { id: next, sessionId, secret, key, actions: [ACTION] }
    next = next === 65_535 ? 1 : next + 1
    bySession.set(sessionId, user)
    byId.set(user.id, user)
    return user
  }

  const open = ({ userId, payload }) => {
    const { sessionId } = byId.get(userId)
    const said = Buffer.from(payload).toString('utf8').slice(0, 199)
    publish({ sessionId }, 'door.opened', JSON.stringify({ said })).catch((error) =>
      log.line('publish failed', { error: error.message })
    )
    return { text: 'open' }
  }

  const listener = await createKnockListener({
    privateKeyPem: privatePem,
    users: (id) => byId.get(id),
    onKnock: open,
    // Every knock comes from this machine: the relay's own limits are the ones that count.
    rate: { perSecond: 100, burst: 200 },
    onEvent: ({ code, text }) => code !== 'accepted' && log.line('knock', { code, text })
  })

  return {
    target: { host: listener.address, port: listener.port, allowPrivate: true },
    routes: {
      // The answer is signed and TLS keeps it to this session: as good a way to hand out a key as a browser has.
      'demo.door': async ({ session }) => {
        const { id, secret } = await enrol(session.id)
        const value = { user_id: id, action_id: ACTION, key: secret.toString('hex'), server_key: publicPem }
        return { contentType: 'application/json', payload: JSON.stringify(value) }
      }
    },
    close: () => listener.close()
  }
}
