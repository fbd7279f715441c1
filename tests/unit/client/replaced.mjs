// SPDX-License-Identifier: MIT
// Puts something else in the place of what the platform has, while a test runs.

/** replaced defines `owner[name]` anew while work runs. `property` is a property descriptor. */
export const replaced = async (owner, name, property, work) => {
  const before = Object.getOwnPropertyDescriptor(owner, name)
  Object.defineProperty(owner, name, { configurable: true, ...property })
  try {
    return await work()
  } finally {
    if (before) Object.defineProperty(owner, name, before)
    else delete owner[name]
  }
}

/** replacedInNavigator does the same to a member of `navigator`, which Node 20 lacks. */
export const replacedInNavigator = (name, property, work) =>
  globalThis.navigator
    ? replaced(globalThis.navigator, name, property, work)
    : replaced(globalThis, 'navigator', { value: Object.defineProperty({}, name, property) }, work)

/** Throws as a browser does that forbids something. */
export const forbid = () => {
  throw new DOMException('made to be forbidden', 'SecurityError')
}

/** The ways in which a platform lacks an object or denies its mere mention. */
export const LACKS = {
  missing: { value: undefined },
  null: { value: null },
  'forbidden to name': { get: forbid }
}
