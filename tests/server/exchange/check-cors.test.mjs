// SPDX-License-Identifier: MIT
// checkCors: the question of an operator why a page cannot call his gateway, over real sockets.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkCors, nodeHandler } from 'countersign/server'
import { createDesk } from '../enrollment/kit.mjs'
import { createWorld, serve } from '../kit.mjs'

const APP = 'https://app.example'

test('G8 checkCors finds nothing wrong with a gateway, and what a front end breaks', async (t) => {
  const world = await createWorld({ origins: [APP] })
  const listener = nodeHandler(world.gateway)
  const good = await serve(t, listener)
  assert.deepEqual(await checkCors({ url: `${good.url}/exchange`, origin: APP }), [])
  const foreign = await checkCors({ url: `${good.url}/exchange`, origin: 'https://evil.example' })
  assert.ok(foreign.some((problem) => /access-control-allow-origin is missing/.test(problem)))
  assert.equal((await checkCors({ url: good.url, origin: 'app.example' })).length, 1)
  const breaking = (change) =>
    serve(t, (request, response) => {
      const set = response.setHeader.bind(response)
      response.setHeader = (name, value) => change(set, name, value)
      listener(request, response)
    })
  const doubled = await breaking((set, name, value) =>
    set(name, name === 'access-control-allow-origin' ? [value, '*'] : value)
  )
  assert.ok((await checkCors({ url: doubled.url, origin: APP })).some((problem) => /occurs twice/.test(problem)))
  const cached = await breaking((set, name, value) =>
    name === 'vary' || name === 'cache-control' ? undefined : set(name, value)
  )
  const problems = await checkCors({ url: cached.url, origin: APP })
  assert.ok(
    problems.some((problem) => /vary is missing/.test(problem)) &&
      problems.some((problem) => /cache-control is missing/.test(problem))
  )
  const answering = await serve(t, (_request, response) => response.writeHead(200).end('hello'))
  assert.ok(
    (await checkCors({ url: answering.url, origin: APP })).some((problem) => /status 200 instead of 204/.test(problem))
  )
})

test('G8 checkCors knows patterns, other schemes, pages without an origin, and the headers of a page', async (t) => {
  const safari = 'safari-web-extension://E3449EA7-EC08-409F'
  const options = { origins: ['https://*.example.com', 'capacitor://localhost', safari], exposeHeaders: ['x-edge'] }
  const open = async (more) => {
    const world = await createWorld({ ...options, ...more })
    return `${(await serve(t, nodeHandler(world.gateway))).url}/exchange`
  }
  const url = await open({ allowOpaqueOrigin: true })
  const page = { allowHeaders: ['Traceparent', 'authorization'], exposeHeaders: ['X-Edge'] }
  for (const origin of ['https://a.example.com', 'capacitor://localhost', safari, 'null'])
    assert.deepEqual(await checkCors({ url, origin, ...page }), [], origin)
  const problemsOf = async (given) => (await checkCors({ url, origin: 'capacitor://localhost', ...given })).join('\n')
  assert.match(
    await problemsOf({ exposeHeaders: ['etag'] }),
    /^answer: access-control-expose-headers .* should have etag$/
  )
  const strict = await open({ allowHeaders: ['traceparent'] })
  const refused = /^preflight: access-control-allow-headers .* should have authorization$/
  assert.match(await problemsOf({ url: strict, ...page, exposeHeaders: [] }), refused)
  const nobody = /^preflight: access-control-allow-origin is missing; it should be null\n/
  assert.match(await problemsOf({ url: strict, origin: 'null' }), nobody)
  for (const origin of ['https://*.example.com', 'https://a.example.com/', '*', 7])
    assert.match(await problemsOf({ origin }), /^origin must be /, String(origin))
  for (const name of ['allowHeaders', 'exposeHeaders'])
    for (const names of ['x-a', ['x a'], ['*'], ['set-cookie']])
      await assert.rejects(problemsOf({ [name]: names }), { code: 'ERR_INVALID_ARGUMENT', message: new RegExp(name) })
})

test('G8 checkCors looks at the enrolment too, and mails nobody', async (t) => {
  const enrollmentPath = '/sign-in'
  const desk = createDesk({ enrollmentPath })
  const world = await createWorld({ origins: [APP], enrollment: desk.enrolling })
  const listener = nodeHandler(world.gateway)
  const { url } = await serve(t, listener)
  const asked = { url: `${url}/exchange`, origin: APP }
  assert.deepEqual(await checkCors({ ...asked, enrollmentPath }), [])
  assert.deepEqual(desk.mails, [])
  const elsewhere = await checkCors({ ...asked, enrollmentPath: '/api/v1/public/auth' })
  assert.deepEqual(elsewhere, ['enrolment answer: status 400 to {}: it is not that of an enrolment; is this its path?'])
  // A front end that serves the enrolment by itself, without the headers.
  const front = await serve(t, (request, response) => {
    if (request.url.startsWith(enrollmentPath)) response.writeHead(request.method === 'OPTIONS' ? 204 : 400).end()
    else listener(request, response)
  })
  const problems = await checkCors({ ...asked, url: `${front.url}/exchange`, enrollmentPath })
  for (const start of ['enrolment preflight: access-control-allow-origin', 'enrolment answer: access-control-expose'])
    assert.ok(
      problems.some((problem) => problem.startsWith(start)),
      start
    )
  assert.ok(problems.every((problem) => problem.startsWith('enrolment ')))
  await assert.rejects(checkCors({ ...asked, enrollmentPath: 7 }), { code: 'ERR_INVALID_ARGUMENT' })
})
