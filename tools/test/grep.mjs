// SPDX-License-Identifier: MIT
// What `--grep` means, for the runner, for node:test and for tests that choose their own sub-tests.

/** The tests that make their sub-tests while they run. With `--grep` they run those sub-tests whose own name matches. */
export const PARENTS = ['chromium', 'firefox', 'webkit', 'scenes']

/** wanted gives a function that says whether a name matches COUNTERSIGN_GREP. Without that variable every name matches. */
export const wanted = (text = globalThis.process?.env.COUNTERSIGN_GREP) => {
  if (!text) return () => true
  const pattern = new RegExp(text)
  return (name) => pattern.test(name)
}

/** nodeArguments makes node:test run only the tests whose name, or whose parent's name, matches. */
export const nodeArguments = (text) =>
  [`/${text.replaceAll('/', '\\/')}/`, `/^(?:${PARENTS.join('|')})$/`].map(
    (pattern) => `--test-name-pattern=${pattern}`
  )

/** catchNames writes test names as a Catch2 test specification of its own: quoted, with its special characters escaped. */
export const catchNames = (names) => names.map((name) => `"${name.replace(/[\\",[\]*]/g, '\\$&')}"`).join(',')
