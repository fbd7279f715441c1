// SPDX-License-Identifier: MIT
// Every state of the page has an address: #wire/request/time, #lights, #tamper/replay, #key/export.

/** readPlace splits the address into `[scene, …rest]`. */
export const readPlace = () => location.hash.slice(1).split('/').filter(Boolean)

/** writePlace changes the address without a jump and marks the scene's link. */
export const writePlace = (...parts) => {
  history.replaceState(null, '', `${location.search}#${parts.filter(Boolean).join('/')}`)
  markScene(parts[0])
}

/** markScene shows which scene the reader is in; on a phone the links are a strip, which is moved to show it. */
export const markScene = (scene) => {
  const nav = document.querySelector('nav')
  for (const link of nav.children) {
    if (link.hash === `#${scene}`) {
      link.setAttribute('aria-current', 'true')
      nav.scrollLeft = link.offsetLeft - nav.offsetLeft - (nav.clientWidth - link.offsetWidth) / 2
    } else link.removeAttribute('aria-current')
  }
}
