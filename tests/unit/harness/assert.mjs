// SPDX-License-Identifier: MIT
// The few strict assertions the suites need, the same in Node and in every page.

const show = (value) => {
  if (value instanceof Uint8Array) return `bytes ${Array.from(value, (b) => b.toString(16).padStart(2, '0')).join('')}`
  if (typeof value === 'bigint') return `${value}n`
  if (value instanceof Error) return `${value.name} ${value.code ?? ''}: ${value.message}`
  try {
    return JSON.stringify(value) ?? String(value)
  } catch {
    return String(value)
  }
}

const fail = (message, note) => {
  throw new Error(note === undefined ? message : `${note}: ${message}`)
}

const sameBytes = (a, b) => a.length === b.length && a.every((byte, index) => byte === b[index])

const same = (a, b) => {
  if (Object.is(a, b)) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false
  if (ArrayBuffer.isView(a)) return sameBytes(new Uint8Array(a.buffer, a.byteOffset, a.byteLength), viewOf(b))
  if (a instanceof ArrayBuffer) return sameBytes(new Uint8Array(a), new Uint8Array(b))
  if (a instanceof Map || a instanceof Set) return same([...a], [...b])
  const keys = Object.keys(a)
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && same(a[key], b[key]))
}
const viewOf = (view) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength)

const checkError = (error, expected, note) => {
  for (const [name, value] of Object.entries(expected)) {
    if (error?.[name] !== value)
      fail(`expected an error with ${name} ${show(value)}, got ${show(error)} (${show(error?.[name])})`, note)
  }
  return error
}

/**
 * assert: `throws` and `rejects` take what the error's members have to equal, such as `{ code, stage }`, at least one of
 * them, and give the error back. Every function takes a note for the message last.
 */
export const assert = {
  ok: (value, note) => value || fail(`expected something truthy, got ${show(value)}`, note),
  equal: (actual, expected, note) =>
    Object.is(actual, expected) || fail(`expected ${show(expected)}, got ${show(actual)}`, note),
  notEqual: (actual, other, note) => !Object.is(actual, other) || fail(`expected anything but ${show(other)}`, note),
  deepEqual: (actual, expected, note) =>
    same(actual, expected) || fail(`expected ${show(expected)}, got ${show(actual)}`, note),
  notDeepEqual: (actual, other, note) => !same(actual, other) || fail(`expected anything but ${show(other)}`, note),
  fail,
  throws: (run, expected, note) => {
    let value
    try {
      value = run()
    } catch (error) {
      return checkError(error, expected, note)
    }
    return fail(`expected an error with ${show(expected)}, got the value ${show(value)}`, note)
  },
  rejects: async (promise, expected, note) => {
    let value
    try {
      value = await (typeof promise === 'function' ? promise() : promise)
    } catch (error) {
      return checkError(error, expected, note)
    }
    return fail(`expected a rejection with ${show(expected)}, got the value ${show(value)}`, note)
  }
}
