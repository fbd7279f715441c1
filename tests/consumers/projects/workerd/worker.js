// SPDX-License-Identifier: MIT
import { answer } from './server.js'

const worker = { fetch: answer }

export { worker as default }
