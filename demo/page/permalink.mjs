// SPDX-License-Identifier: MIT
// Every state of the page has an address: #wire/request/time, #lights, #tamper/replay, #key/export.

/** readPlace splits the address into `[scene, …rest]`. */
export const readPlace = () => location.hash.slice(1).split('/').filter(Boolean)

/** writePlace changes the address without a jump and marks the scene's link. */
export const writePlace = (...parts) => {
  history.replaceState(null, '', `${location.search}#${parts.filter(Boolean).join('/')}`)
  markScene(parts[0])
}

/** markScene shows which scene the reader is in. */
export const markScene = (scene) => {
  for (const link of document.querySelectorAll('nav a')) {
    if (link.hash === `#${scene}`) link.setAttribute('aria-current', 'true')
    else link.removeAttribute('aria-current')
  }
}
