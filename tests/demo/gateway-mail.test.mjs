// SPDX-License-Identifier: MIT
// With SMTP_URL the code goes by mail, over a real socket, to a small server that keeps what it was told.
import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { connect, emailEnrollment, memoryStore } from 'countersign'
import { describe, startGateway, until } from './harness.mjs'

const startMailSink = async (t) => {
  const mails = []
  const sockets = new Set()
  const server = createServer((socket) => {
    sockets.add(socket)
    let mail = { to: [] }
    let isData = false
    let text = ''
    const say = (line) => socket.write(`${line}\r\n`)
    const hear = (line) => {
      if (isData) {
        if (line !== '.') mail.text = `${mail.text ?? ''}${line}\n`
        else {
          isData = false
          mails.push(mail)
          mail = { to: [] }
          say('250 kept')
        }
      } else if (/^(EHLO|HELO)/i.test(line)) say('250 sink')
      else if (/^MAIL FROM:/i.test(line)) {
        mail.from = line.slice(10)
        say('250 ok')
      } else if (/^RCPT TO:/i.test(line)) {
        mail.to.push(line.slice(8))
        say('250 ok')
      } else if (/^DATA/i.test(line)) {
        isData = true
        say('354 go on')
      } else say(/^QUIT/i.test(line) ? '221 bye' : '250 ok')
    }
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      text += chunk
      const lines = text.split('\r\n')
      text = lines.pop()
      for (const line of lines) hear(line)
    })
    say('220 sink')
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { mails, url: `smtp://127.0.0.1:${server.address().port}` }
}

test('a code arrives by SMTP, once, at the address as it was given', async (t) => {
  const sink = await startMailSink(t)
  const gateway = await startGateway(t, { SMTP_URL: sink.url, MAIL_FROM: 'codes@app.example', LABEL: 'chess' })
  const client = await connect({ url: gateway.url, ...(await describe(gateway.url)), store: memoryStore() })
  t.after(() => client.close())
  const email = 'Ada+chess@example.org'
  await emailEnrollment(client, {
    email,
    code: async () => {
      await until(() => sink.mails.length > 0, 'a mail')
      return /\b\d{6,}\b/.exec(sink.mails[0].text.split('\n\n')[1])[0]
    }
  })
  assert.equal((await client.request('demo.echo')).resultCode, 'ok')
  assert.equal(sink.mails.length, 1)
  const [mail] = sink.mails
  assert.equal(mail.from, '<codes@app.example>')
  assert.deepEqual(mail.to, [`<${email}>`])
  assert.match(mail.text, /^To: .*Ada\+chess@example\.org/m)
  assert.match(mail.text, /chess/)
  assert.doesNotMatch(gateway.output(), new RegExp(/\d{6}/.exec(mail.text)[0]))
})

test('R150 the code for a new key arrives with the thumbprint of that key', async (t) => {
  const sink = await startMailSink(t)
  const gateway = await startGateway(t, { SMTP_URL: sink.url })
  const client = await connect({ url: gateway.url, ...(await describe(gateway.url)), store: memoryStore() })
  t.after(() => client.close())
  const mailOf = async (count) => {
    await until(() => sink.mails.length === count, 'a mail')
    // Quoted-printable breaks long lines.
    return sink.mails[count - 1].text.replace(/=\r?\n/g, '')
  }
  const codeIn = (text) => /^Subject: (\d{6,}) /m.exec(text)[1]
  await emailEnrollment(client, { email: 'ada@example.org', code: async () => codeIn(await mailOf(1)) })
  const confirm = async ({ thumbprint }) => {
    const text = await mailOf(2)
    assert.ok(text.includes(thumbprint), text)
    return codeIn(text)
  }
  await client.rotateKey({ confirm })
  assert.equal((await client.request('demo.echo')).resultCode, 'ok')
})

test('an address cannot bring a second recipient or a header along', async (t) => {
  const sink = await startMailSink(t)
  const gateway = await startGateway(t, { SMTP_URL: sink.url })
  const hostile = [
    'a@example.org, b@example.org',
    'a@example.org\r\nBcc: b@example.org',
    '"a@example.org" <b@example.org>',
    'a@example.org>\r\nRCPT TO:<b@example.org',
    'group:a@example.org,b@example.org;'
  ]
  for (const email of hostile) {
    await fetch(`${gateway.url}/api/v1/public/auth/send-email-code`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ email })
    })
  }
  await new Promise((resolve) => setTimeout(resolve, 500))
  for (const { to, text } of sink.mails) {
    assert.equal(to.length, 1)
    assert.doesNotMatch(text, /^bcc:/im)
  }
})

test('a mail server that is down is no crash and no secret', async (t) => {
  const gateway = await startGateway(t, { SMTP_URL: 'smtp://ada:hunter2@127.0.0.1:9' })
  const response = await fetch(`${gateway.url}/api/v1/public/auth/send-email-code`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email: 'ada@example.org' })
  })
  assert.ok([200, 503].includes(response.status), String(response.status))
  assert.equal((await fetch(`${gateway.url}/healthz`)).status, 200)
  assert.doesNotMatch(gateway.output(), /hunter2/)
})
