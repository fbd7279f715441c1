// SPDX-License-Identifier: MIT
// The guided mode: scenes that play themselves, five seconds each. Whoever touches the page has it back at once.
import { byId, el } from './dom.mjs'
import { isStill } from './motion.mjs'
import { writePlace } from './permalink.mjs'

const SCENE_MS = 5000
const TICK_MS = 100

// What counts as touching the page; the tour's own bar excepted.
const INPUTS = ['pointerdown', 'click', 'keydown', 'wheel', 'touchstart']
const PASSIVELY = { capture: true, passive: true }

const createBar = () => {
  const [root, steps, caption, proof, play] = ['tour', 'tour-steps', 'tour-caption', 'tour-proof', 'tour-play'].map(
    byId
  )
  return {
    root,
    open(scenes) {
      root.hidden = false
      document.documentElement.classList.add('touring')
      steps.replaceChildren(...scenes.map(() => el('i', {}, el('b'))))
    },
    enter() {
      root.dataset.scene = 'enter'
      caption.textContent = 'Signing in: a key is made here'
      proof.textContent = ''
    },
    close() {
      root.hidden = true
      document.documentElement.classList.remove('touring')
    },
    begin(index, scene) {
      root.dataset.scene = scene.id
      root.dataset.done = 'no'
      caption.textContent = scene.caption
      proof.textContent = ''
      for (const [at, step] of [...steps.children].entries()) step.firstChild.style.width = at < index ? '100%' : '0'
    },
    progress: (index, share) => {
      steps.children[index].firstChild.style.width = `${100 * Math.min(1, share)}%`
    },
    end(words, isRefused) {
      root.dataset.done = 'yes'
      root.dataset.tone = isRefused ? 'fail' : 'pass'
      proof.textContent = words
    },
    playing(isPlaying) {
      root.dataset.playing = isPlaying ? 'yes' : 'no'
      play.textContent = isPlaying ? 'Pause' : 'Play'
    }
  }
}

const reasonOf = (error) => `${error.code ?? error.name}: ${error.message}`

/**
 * createTour returns `{ start, isRunning }` over scenes `{ id, caption, place, section, run(signal), undo? }`. `run` resolves to
 * the words that say what happened, `undo` sets right what a scene has left behind; `prepare(signal)` comes before all.
 */
export const createTour = ({ scenes, prepare, scrollTo }) => {
  const bar = createBar()
  let running
  let isPlaying = false
  let isSkipped = false

  const setPlaying = (next) => {
    isPlaying = next
    bar.playing(next)
  }
  // Time passes while it plays and somebody could see it; a scene that takes longer is not cut short.
  const wait = async (index, work, signal) => {
    let isDone = false
    work.finally(() => {
      isDone = true
    })
    for (let elapsedMs = 0; ; ) {
      await new Promise((resolve) => setTimeout(resolve, TICK_MS))
      if (signal.aborted || isSkipped) break
      if (isPlaying && !document.hidden) elapsedMs += TICK_MS
      bar.progress(index, elapsedMs / SCENE_MS)
      if (isDone && elapsedMs >= SCENE_MS) break
    }
    await work
  }
  const playScene = async (index, signal) => {
    const scene = scenes[index]
    isSkipped = false
    bar.begin(index, scene)
    writePlace('tour', scene.id)
    scrollTo(scene.section)
    const perform = async () => {
      try {
        const { words, isRefused } = await scene.run(signal)
        if (!signal.aborted) bar.end(words, isRefused)
      } catch (error) {
        if (!signal.aborted) bar.end(reasonOf(error), true)
      }
    }
    await wait(index, perform(), signal)
    await scene.undo?.()
  }
  const stop = () => {
    running?.abort()
    running = undefined
  }
  const leaveAt = (scene) => {
    bar.close()
    for (const name of INPUTS) document.removeEventListener(name, onInput, PASSIVELY)
    if (scene) writePlace(...scene.place)
  }
  const onInput = ({ target, key }) => {
    if (!bar.root.contains(target) || key === 'Escape') stop()
  }
  const play = async (first, signal, takesFocus) => {
    let shown
    // Whoever uses the keyboard is at the bar, where a key does not end the tour; the sign-in moves the focus too.
    const focus = () => takesFocus && byId('tour-play').focus({ preventScroll: true })
    try {
      bar.enter()
      focus()
      await prepare(signal)
      focus()
      for (let index = first; index < scenes.length && !signal.aborted; index += 1) {
        shown = scenes[index]
        await playScene(index, signal)
      }
    } finally {
      // A tour that was started anew has the bar now.
      if (running === undefined || running.signal === signal) {
        running = undefined
        leaveAt(shown)
      }
    }
  }

  byId('tour-play').addEventListener('click', () => setPlaying(!isPlaying))
  byId('tour-skip').addEventListener('click', () => {
    isSkipped = true
  })
  byId('tour-close').addEventListener('click', stop)
  return {
    isRunning: () => running !== undefined,
    /**
     * start plays from a scene on, the first one unless named; where nothing should move by itself, it waits for Skip. It
     * takes the focus unless told not to.
     */
    start(id, takesFocus = true) {
      stop()
      running = new AbortController()
      bar.open(scenes)
      setPlaying(!isStill())
      for (const name of INPUTS) document.addEventListener(name, onInput, PASSIVELY)
      const found = scenes.findIndex((scene) => scene.id === id)
      return play(Math.max(0, found), running.signal, takesFocus)
    }
  }
}

/** whenUntouched calls back once nobody has touched the page for `ms`; the first touch is the end of it. */
export const whenUntouched = (ms, act) => {
  const timer = setTimeout(act, ms)
  for (const name of INPUTS) document.addEventListener(name, () => clearTimeout(timer), { ...PASSIVELY, once: true })
}
