// SPDX-License-Identifier: MIT
// What an exchange came to, in one line, from what was reported and nothing else.

const failureIn = (stages, side) => {
  const failed = stages.find(({ verdict }) => verdict === 'fail')
  return failed && { side, stage: failed.stage, code: failed.code }
}

/** stopOf returns the first reported failure as `{ side, stage, code }`: the gateway's last pass, then the client's checks. */
export const stopOf = ({ gateway, client }) =>
  failureIn(gateway.at(-1) ?? [], 'gateway') ?? failureIn(client, 'browser')

const passed = ({ gateway, client }) =>
  [...gateway.flat(), ...client].filter(({ verdict }) => verdict === 'pass').length

const timesOf = (timings) =>
  timings ? [`sign ${timings.signMs.toFixed(1)} ms`, `verify ${timings.verifyMs.toFixed(1)} ms`] : []

/** verdictOf returns `{ tone, head, detail }` for the line under the rails. */
export const verdictOf = (exchange, clientState) => {
  const { resultCode, timings, error } = exchange.outcome
  const stop = stopOf(exchange)
  if (stop) {
    const detail = [stop.side, error?.code ?? stop.code, clientState].filter(Boolean).join(' · ')
    return { tone: 'fail', head: `Stopped by ${stop.stage}`, detail }
  }
  if (error) return { tone: 'fail', head: error.code ?? error.name, detail: error.message }
  return {
    tone: 'pass',
    head: `Answered: ${resultCode}`,
    detail: [`${passed(exchange)} checks`, ...timesOf(timings)].join(' · ')
  }
}
