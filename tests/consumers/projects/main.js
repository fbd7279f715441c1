// SPDX-License-Identifier: MIT
import { connect, emailEnrollment, memoryStore } from 'countersign'
import { run } from './flow.js'

run({ connect, emailEnrollment, memoryStore }, location.search).then((outcome) => {
  globalThis.outcome = outcome
})
