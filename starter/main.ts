import { connect, emailEnrollment } from 'countersign'
import { jsonClient } from 'countersign/json'
import type { routes } from './gateway.js'

const show = (text: string) => document.body.append(text, document.createElement('br'))
const on = (id: string, run: () => Promise<unknown>) =>
  document.getElementById(id)?.addEventListener('click', () => run().catch((error) => show(String(error))))

const start = async () => {
  const client = await connect({
    url: 'http://localhost:8080',
    label: 'notes',
    serverKeys: [{ id: 'JcKJSawC6YfER1PbBQJBei', publicKey: 'bssqPn/iye8PY+o2bg8oO9txYnkJBm/3RyMx8i5Wt4w=' }]
  })
  const notes = jsonClient<typeof routes>(client)
  const listen = async () => {
    try {
      for await (const { type, payload } of client.events()) show(`${type} ${new TextDecoder().decode(payload)}`)
    } catch (error) {
      // The stream ends with the session.
      if (client.state === 'ready') throw error
    }
  }
  client.on('state', (state) => {
    show(state)
    if (state === 'ready') listen()
  })
  show(client.state)
  if (client.state === 'ready') listen()
  on('sign-in', () =>
    emailEnrollment(client, { email: 'ada@example.com', code: () => prompt('The code that gateway.js prints') })
  )
  on('add', async () => {
    const reply = await notes.request('note.add', { text: 'hello' }, { idempotencyKey: crypto.randomUUID() })
    if (reply.ok) show(`${reply.json().length} characters`)
  })
  on('sign-out', () => client.signOut())
}

start().catch((error) => show(String(error)))
