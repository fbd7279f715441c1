// SPDX-License-Identifier: MIT
// One exchange, from the press of a button to everything that was reported about it.

const TYPE = 'demo.echo'

const wait = (ms, signal) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms)
    signal.addEventListener('abort', () => {
      clearTimeout(timer)
      reject(signal.reason)
    })
  })

/** runsOf groups stages by the pass they belong to: a replayed id has several. */
const runsOf = (stages) => {
  const runs = new Map()
  for (const stage of stages) runs.set(stage.exchange, [...(runs.get(stage.exchange) ?? []), stage])
  return [...runs.values()]
}

const gatewayRuns = async (tap, readTrace) => {
  const runs = []
  for (const requestId of new Set(tap.passes.map((pass) => pass.requestId))) {
    const stages = requestId && (await readTrace(requestId))
    if (stages) runs.push(...runsOf(stages))
  }
  return runs
}

// Signed now, delivered when the gateway's window for it has closed; nothing is signed again, so the packet stays the same.
const sendLate = async ({ client, middle, description }, { payload, onHold, signal }) => {
  const { frame, requestId } = await client.sign(TYPE, payload)
  const waitMs = description.pastMs + 400
  onHold(frame, performance.now() + waitMs)
  await wait(waitMs, signal)
  const response = await middle.post(frame, signal)
  return client.open(new Uint8Array(await response.arrayBuffer()), { requestId })
}

const outcomeOf = async (work) => {
  try {
    const { resultCode, timings } = await work()
    return { resultCode, timings }
  } catch (error) {
    return { error }
  }
}

/**
 * runExchange sends one packet through an attack and resolves to `{ attack, tap, outcome, client, gateway }`: `client` the
 * stages the client reported, `gateway` those of the gateway, one list per pass.
 */
export const runExchange = async (session, { attack, payload, onHold, signal, readTrace }) => {
  const { client, middle } = session
  const stages = []
  const stop = client.on('stage', (stage) => stages.push(stage))
  const tap = middle.arm(attack)
  const outcome = await outcomeOf(() =>
    attack.isHeld ? sendLate(session, { payload, onHold, signal }) : client.request(TYPE, payload, { signal })
  )
  middle.disarm(tap)
  stop()
  const ours = stages.filter((stage) => stage.requestId === tap.requestId)
  return { attack, tap, outcome, client: ours, gateway: await gatewayRuns(tap, readTrace) }
}
