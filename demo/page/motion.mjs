// SPDX-License-Identifier: MIT
// Movement only shows what has been reported already; without it the page says the same.

const reduced = matchMedia('(prefers-reduced-motion: reduce)')

/** isStill says whether nothing should move: the reader's wish, or `?motion=off`. */
export const isStill = () => reduced.matches || new URLSearchParams(location.search).get('motion') === 'off'

/** pause resolves after `ms`, at once where nothing should move. */
export const pause = (ms) => (isStill() ? Promise.resolve() : new Promise((resolve) => setTimeout(resolve, ms)))

/** move animates an element to its last keyframe and leaves it there. */
export const move = async (node, keyframes, ms, easing = 'cubic-bezier(.5,.1,.2,1)') => {
  Object.assign(node.style, keyframes.at(-1))
  if (isStill()) return
  const animation = node.animate(keyframes, { duration: ms, easing })
  // A page in the background may never finish an animation.
  await Promise.race([animation.finished.catch(() => {}), new Promise((resolve) => setTimeout(resolve, ms + 300))])
}
