// SPDX-License-Identifier: MIT
// A page whose service worker answers with what it has kept: the steps of the test.

import { connect } from 'countersign'
import { codeOf, register, serveSteps } from './lab-page.mjs'

let client

const start = async (serverKeys) => {
  client = await connect({ url: location.origin, label: 'demo', serverKeys })
  await client.enroll(register)
  const controlled = new Promise((resolve) =>
    navigator.serviceWorker.addEventListener('controllerchange', resolve, { once: true })
  )
  const script = globalThis.trustedTypes
    ? trustedTypes.createPolicy('tests', { createScriptURL: (url) => url }).createScriptURL('/old-answers.js')
    : '/old-answers.js'
  await navigator.serviceWorker.register(script)
  await controlled
  return client.state
}

/** The worker passes on the first call of each kind and answers the others with what came of it. */
const calls = async () => {
  const request = [await codeOf(client.request('demo.key')), await codeOf(client.request('demo.key'))]
  const route = () => client.fetch('/api/answer').then((response) => response.text())
  const fetched = [await codeOf(route()), await codeOf(route())]
  return { request, fetched, state: client.state }
}

const removed = async () => {
  await fetch('/worker/off')
  const registrations = await navigator.serviceWorker.getRegistrations()
  await Promise.all(registrations.map((registration) => registration.unregister()))
  return { request: await codeOf(client.request('demo.key')), state: client.state }
}

serveSteps({ start, calls, removed })
