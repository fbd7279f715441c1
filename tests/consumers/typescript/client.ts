// SPDX-License-Identifier: MIT
// What an application writes in a page: compiled strictly, without Node's types, never run.
import {
  type Client,
  type ClientState,
  type ConnectOptions,
  connect,
  emailEnrollment,
  indexedDbStore,
  isCountersignError,
  type KeyStore,
  memoryStore,
  type Reply,
  type Signer
} from 'countersign'
import { loadCore } from 'countersign/core'
import { type EventMode, importDeviceKey, type SignedEvent, signEvent, verifyEvent } from 'countersign/stats-event'

const options: ConnectOptions = {
  url: 'https://api.example.com',
  label: 'shop',
  serverKeys: [{ id: 'one', publicKey: new Uint8Array(32) }],
  store: indexedDbStore()
}

export const open = async (email: string): Promise<Client> => {
  const client = await connect(options)
  client.on('state', (state: ClientState) => console.log(state))
  if (client.state !== 'ready') await emailEnrollment(client, { email, code: async () => '123456' })
  return client
}

export const send = async (client: Client, signal: AbortSignal): Promise<string | undefined> => {
  try {
    const reply: Reply = await client.request('cart.add', JSON.stringify({ sku: 1 }), { signal, idempotencyKey: 'a' })
    const answer: Response = await client.fetch('/api/orders')
    await answer.json()
    return reply.resultCode
  } catch (error) {
    if (isCountersignError(error) && error.code === 'ERR_RATE_LIMITED') return `${error.retryAfterMs}`
    // @ts-expect-error a code that does not exist
    if (isCountersignError(error) && error.code === 'ERR_NO_SUCH_CODE') return
    throw error
  }
}

const signer: Signer = { sign: async (bytes) => bytes.slice() }
export const store: KeyStore = memoryStore()
export const native = signer

export const hash = async (): Promise<Uint8Array<ArrayBuffer>> => {
  const core = await loadCore()
  const parsed = core.parseSigningInput(new Uint8Array(1))
  if (parsed.kind === 'request') parsed.deviceSessionId.trim()
  // @ts-expect-error only requests and events have a session
  parsed.deviceSessionId
  return core.sha256(new Uint8Array(1))
}

export const statistics = async (text: string, mode: EventMode): Promise<boolean> => {
  const key = await importDeviceKey(text)
  const event: SignedEvent = await signEvent(key, { type: 'session', data: { id: 'a' } }, { mode })
  // @ts-expect-error no such mode
  await verifyEvent(event, key, { mode: 'lax' })
  const { ok, reason } = await verifyEvent(event, key, { mode })
  return ok && reason === undefined && key.deviceId.length === 16
}

// @ts-expect-error the label is required
connect({ url: 'https://api.example.com', serverKeys: [] })
