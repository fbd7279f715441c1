// SPDX-License-Identifier: MIT
// A page of React in StrictMode, where every component mounts twice at first.

import { connect } from 'countersign'
import { useClient, useEvents, useSession } from 'countersign/react'
import { createElement, StrictMode, useState } from 'react'
import { createRoot } from 'react-dom/client'
import { register, serveSteps } from './lab-page.mjs'

const seen = { events: [], ends: [], views: [], client: undefined }
let root

const View = ({ client }) => {
  const { state, sessionId } = useSession(client)
  const [count, setCount] = useState(0)
  const onEvent = ({ type, sequence }) => {
    if (type !== 'n') return
    seen.events.push(sequence)
    setCount((before) => before + 1)
  }
  useEvents(client, onEvent, { onEnd: (error) => seen.ends.push(error.code) })
  const text = `${state} ${sessionId} ${count}`
  if (seen.views.at(-1) !== text) seen.views.push(text)
  return text
}

const App = ({ connecting }) => {
  const { client, error, isLoading } = useClient(connecting)
  seen.client = client
  if (isLoading) return 'loading'
  return error ? `error ${error.code}` : createElement(View, { client })
}

const show = (connecting) => {
  const element = document.body.appendChild(document.createElement('main'))
  root = createRoot(element)
  root.render(createElement(StrictMode, null, createElement(App, { connecting })))
}

const look = async () => ({ ...seen, client: undefined, html: document.body.textContent })

serveSteps({
  async start(serverKeys) {
    show(connect({ url: location.origin, label: 'demo', serverKeys }))
  },
  async fail() {
    show(Promise.reject(Object.assign(new Error('no'), { code: 'ERR_NO' })))
  },
  look,
  enrol: () => seen.client.enroll(register),
  signOut: () => seen.client.signOut(),
  async unmount() {
    root.unmount()
  }
})
