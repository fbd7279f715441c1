// SPDX-License-Identifier: MIT
// The address with which this page signed in. Only the loopback outbox is asked by it.
const NAME = 'countersign-demo-address'

/** keepAddress keeps an address for later visits, where the browser lets it. */
export const keepAddress = (address) => {
  try {
    localStorage.setItem(NAME, address)
  } catch {
    // A page without storage asks its reader for the code.
  }
}

/** keptAddress returns the address, or undefined where there is none. */
export const keptAddress = () => {
  try {
    return localStorage.getItem(NAME) ?? undefined
  } catch {
    return undefined
  }
}
