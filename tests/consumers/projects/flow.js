// SPDX-License-Identifier: MIT
// What a consumer does: it connects, enrols, and makes a verified request of each binding. Nothing outside of the
// function is used, so that its text can stand in a script, in a worker and in a page's source.

/**
 * run resolves to `{ value: 'ok' }`, or to what went wrong. `search` names the gateway: its address, the place of the
 * mailed code and the server's key.
 */
export const run = async ({ connect, emailEnrollment, memoryStore }, search, isPage = true) => {
  try {
    const given = new URLSearchParams(search)
    const serverKeys = [{ id: given.get('id'), publicKey: given.get('key') }]
    const store = isPage ? {} : { store: memoryStore() }
    const client = await connect({ url: given.get('gateway'), label: 'demo', serverKeys, ...store })
    if (client.state !== 'ready') {
      const code = async () => (await fetch(`${given.get('gateway')}/code`)).text()
      await emailEnrollment(client, { email: 'ada@example.com', code })
    }
    const { payload } = await client.request('demo.echo', 'hello')
    const answer = await (await client.fetch('/api/answer')).text()
    client.close()
    return { value: `${new TextDecoder().decode(payload)}, ${answer}` }
  } catch (error) {
    const { code, message, stack, cause } = error
    return { error: `${code ?? ''} ${message}\n${stack}\n${cause?.stack ?? cause ?? ''}` }
  }
}
