// SPDX-License-Identifier: MIT
// What the pages of the lab have in common.

/** base64 writes bytes as text. */
export const base64 = (bytes) => btoa(String.fromCharCode(...bytes))

/** codeOf resolves to 'ok', or to the code of the failure. */
export const codeOf = (promise) =>
  promise.then(
    () => 'ok',
    (error) => error.code ?? String(error)
  )

/** register is the login of these pages, which asks for nothing. */
export const register = async ({ publicKey, algorithm, prove, post }) => {
  const challengeId = await (await fetch('/login/challenge', { method: 'POST' })).text()
  const proof = base64(await prove(challengeId, 'user-1'))
  return post('/login/confirm', { challengeId, algorithm, publicKey: base64(publicKey), proof })
}

/** serveSteps lets the test take these steps: one is begun, and asked about. */
export const serveSteps = (steps) => {
  globalThis.lab = {
    begin(name, ...given) {
      globalThis.lab.outcome = undefined
      steps[name](...given).then(
        (value) => {
          globalThis.lab.outcome = { value }
        },
        (error) => {
          globalThis.lab.outcome = { error: `${name}: ${error?.code ?? ''} ${error?.stack ?? error}` }
        }
      )
    }
  }
}
