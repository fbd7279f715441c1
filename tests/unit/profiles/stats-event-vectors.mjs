// SPDX-License-Identifier: MIT
// The recorded vectors of StatsCode, with the inputs that JSON cannot say made here: a strict policy evaluates no text.

const now = 1_769_601_600_000
const base = { timestamp: 1, deviceId: 'd', nonce: 'n' }
const cyclic = () => {
  const data = {}
  data.data = data
  return data
}

/** Inputs by the name of their case; each gives the value of its `input_js` or `event_js`. */
const made = {
  js_undefined_fields: () => ({
    type: 'session',
    data: { type: undefined, nonce: null },
    timestamp: undefined,
    deviceId: 'd',
    nonce: 'n'
  }),
  js_nan_infinity: () => ({
    type: 'session',
    data: { timestamp: Number.NaN, data: [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, undefined, () => 1] },
    ...base
  }),
  js_invalid_date: () => ({ type: 'session', data: { timestamp: new Date(Number.NaN) }, ...base }),
  js_map_set_typedarray: () => ({
    type: 'session',
    data: { type: new Map([[1, 2]]), data: new Set([1]), nonce: new Uint8Array([1, 2]) },
    ...base
  }),
  js_symbol: () => ({ type: Symbol('a'), data: {}, ...base }),
  js_cycle_throws: () => ({ type: 'session', data: cyclic(), ...base }),
  ts_infinity: () => ({ type: 'session', data: {}, timestamp: Number.POSITIVE_INFINITY }),
  dur_bigint: () => ({ type: 'session', data: { duration_ms: 4999n }, timestamp: now })
}

/** Recorded cases that the original signs, or fails at with an error of the language, and that are refused here by rule. */
export const refusedByRule = {
  extra_top_level_proto: '__proto__',
  timestamp_1e400_overflow: 'infinite',
  js_nan_infinity: 'NaN',
  js_cycle_throws: 'itself'
}

const inputOf = (name, json) => (typeof json === 'string' ? () => JSON.parse(json) : made[name])

/** statsVectors reads the recorded cases, each with a function for its input. */
export const statsVectors = async ({ vectors }) => {
  const recorded = await vectors('stats-event.json')
  for (const entry of recorded.sign_event.cases) entry.input = inputOf(entry.name, entry.input_json)
  for (const entry of recorded.anomalies.cases) entry.event = inputOf(entry.name, entry.event_json)
  return recorded
}

/** numberOfBits makes the double of 16 hexadecimal digits. */
export const numberOfBits = (hex) => {
  const view = new DataView(new ArrayBuffer(8))
  view.setBigUint64(0, BigInt(`0x${hex}`))
  return view.getFloat64(0)
}
