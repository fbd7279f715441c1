// SPDX-License-Identifier: MIT
// One of several pages of one origin: a client over the browser's own IndexedDB that listens to its events.

import { connect, emailEnrollment } from 'countersign'

let client
const got = []

globalThis.lab = {
  async start(serverKeys) {
    client = await connect({ url: location.origin, label: 'demo', serverKeys })
    const code = async () => (await fetch('/code')).text()
    if (client.state !== 'ready') await emailEnrollment(client, { email: 'ada@example.com', code })
    return client.sessionId
  },
  async listen() {
    for await (const { type, sequence } of client.events({ after: 0 })) got.push(type === 'n' ? sequence : type)
  },
  view() {
    const { role, state } = client.connection
    return { role, state, got }
  }
}
