// SPDX-License-Identifier: MIT
// A name that no part knows is a usage error, and a name that another part knows is none.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  cachedSessions,
  checkCors,
  createGateway,
  enrollment,
  idempotent,
  memoryAnswerStore,
  memoryCodeStore,
  memoryEventStore,
  memoryReplayStore,
  memorySessionStore,
  nodeHandler
} from 'countersign/server'
import { lmdbStores } from 'countersign/server/lmdb'
import { redisStores } from 'countersign/server/redis'
import { createSigner, label } from '../kit.mjs'

const handler = () => ({})
const base = () => ({
  label,
  signer: createSigner(),
  sessions: memorySessionStore(),
  replay: memoryReplayStore({ capacity: 4096 }),
  routes: { 'demo.echo': handler }
})
const enrolling = () => ({ label, signer: createSigner(), sessions: memorySessionStore(), mailer() {} })

const refusesName = (work, name) =>
  assert.rejects(async () => work(), { code: 'ERR_INVALID_ARGUMENT', message: new RegExp(`has no member ${name}$`) })

test('H23 a misspelt option of the gateway, of its limits or of a store is a usage error that names it', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-names-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const gateway = createGateway(base())
  t.after(() => gateway.close())
  const cases = {
    orgins: () => createGateway({ ...base(), orgins: ['https://app.example'] }),
    payloadByte: () => createGateway({ ...base(), limits: { payloadByte: 1 } }),
    perSesion: () => createGateway({ ...base(), rates: { perSesion: 1 } }),
    past: () => createGateway({ ...base(), window: { past: 1 } }),
    idle: () => createGateway({ ...base(), sessionLife: { idle: 3_600_000 } }),
    maxSession: () => enrollment({ ...enrolling(), maxSession: 1 }),
    capacty: () => memoryReplayStore({ capacty: 1 }),
    capacities: () => memoryCodeStore({ capacities: 1 }),
    size: () => memoryAnswerStore({ size: 1 }),
    byte: () => memoryEventStore({ byte: 1 }),
    maxAge: () => cachedSessions(memorySessionStore(), { maxAge: 1 }),
    restore: () => lmdbStores({ path: join(folder, 'x.lmdb'), restore: true }),
    deadline: () => redisStores({ url: 'redis://127.0.0.1:1', label, deadline: 1 }),
    isRepeatable: () => idempotent(handler, { answers: memoryAnswerStore(), isRepeatable: true }),
    remoteAdress: () => nodeHandler(gateway, { remoteAdress: () => '' }),
    answer: () => gateway.forgetUser('u1', { answer: memoryAnswerStore() }),
    drain: () => gateway.close({ drain: 1 }),
    orign: () => checkCors({ url: 'http://127.0.0.1:1', orign: 'https://app.example' })
  }
  for (const [name, work] of Object.entries(cases)) await refusesName(work, name)
})

test('one object serves the gateway, the enrolment and the stores, with what the stores return', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-names-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const own = {
    ...{ label, signer: createSigner(), mailer() {}, routes: {}, origins: ['https://app.example'] },
    ...{ path: join(folder, 'x.lmdb'), capacity: 4096, digits: 6, core: undefined, pepper: Buffer.alloc(16, 7) }
  }
  const stores = lmdbStores(own)
  const all = { ...own, ...stores }
  for (const make of [memoryReplayStore, memoryCodeStore, memoryAnswerStore]) assert.ok(make(own))
  assert.ok(memoryEventStore({ label, path: 'x' }))
  const gateway = createGateway({ ...all, enrollment: enrollment(all) })
  await gateway.ready()
  await gateway.close()
  await stores.close()
})
