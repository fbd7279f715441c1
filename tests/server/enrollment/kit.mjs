// SPDX-License-Identifier: MIT
// The desk that the tests of enrolment share, with a fake clock and an outbox.
import assert from 'node:assert/strict'
import { enrollment, memorySessionStore } from 'countersign/server'
import { core, createFakeClock, createSigner, label } from '../kit.mjs'

export const base = 'http://gateway/api/v1/public/auth'
export const b64 = (bytes) => Buffer.from(bytes).toString('base64')
export const MINUTE = 60_000
export const HOUR = 60 * MINUTE

export const createDesk = (options = {}) => {
  const now = createFakeClock()
  const signer = createSigner()
  const sessions = memorySessionStore()
  const mails = []
  const failures = []
  const enrolled = []
  const enrolling = enrollment({
    label,
    signer,
    sessions,
    now,
    mailer: (mail) => mails.push(mail),
    onFailure: (error) => failures.push(error),
    onEnrolled: (event) => enrolled.push(event),
    ...options
  })
  const post = (path, body, { remoteAddress = '192.0.2.1', headers = {} } = {}) =>
    enrolling.handle(
      new Request(`${base}/${path}`, {
        method: 'POST',
        body: typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body),
        headers: { 'content-type': 'application/json', ...headers }
      }),
      { remoteAddress }
    )
  const send = (email, init) => post('send-email-code', { email }, init)
  const challengeOf = async (email = 'a@example.com', init) => {
    const response = await send(email, init)
    assert.equal(response.status, 200)
    const { challenge_id: challengeId } = await response.json()
    return { challengeId, email, code: mails.at(-1).code }
  }
  return { now, signer, sessions, mails, failures, enrolled, enrolling, post, send, challengeOf }
}

export const inputOf = (key, { challengeId, email }, changes = {}) =>
  core.enrollSigningInput({ label, challengeId, algorithm: key.algorithm, publicKey: key.publicKey, email, ...changes })

export const confirmBody = (key, challenge, changes = {}) => ({
  challenge_id: challenge.challengeId,
  code: challenge.code,
  client_public_key: b64(key.publicKey),
  algorithm: key.algorithm,
  proof: b64(key.sign(inputOf(key, challenge))),
  time_zone: 'Europe/Berlin',
  ...changes
})

export const confirm = (desk, key, challenge, changes, init) =>
  desk.post('confirm-email-code', confirmBody(key, challenge, changes), init)

export const problemOf = async (response) => {
  assert.equal(response.headers.get('content-type'), 'application/problem+json')
  assert.equal(response.headers.get('countersign'), null)
  const { type, title, status, code } = await response.json()
  assert.equal(type, 'about:blank')
  assert.equal(status, response.status)
  assert.ok(title.length > 0)
  return `${status} ${code}`
}

export const wrong = (code) => String((Number(code) + 1) % 10 ** code.length).padStart(code.length, '0')
