// SPDX-License-Identifier: MIT
// Runs in workers: loads the core and answers each message with a hash by it, or the error's code.

import { loadCore } from 'countersign/core'

const answer = async ({ data, ports: [port] }) => {
  try {
    const core = await loadCore()
    port.postMessage({ hash: core.sha256(data.bytes) })
  } catch (error) {
    port.postMessage({ error: `${error.code}: ${error.message}: ${error.cause}` })
  }
}
globalThis.addEventListener('message', answer)
