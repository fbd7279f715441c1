// SPDX-License-Identifier: MIT
// The code that begins a session, changes its key or lists sessions. A client needs it rarely, so it is loaded on
// demand.

export { askStorage } from './keys/storage-report.ts'
export { enroll, enrollByEmail } from './session/enroll.ts'
export { renew, rotate, settle } from './session/rotate-key.ts'
export { readSessions } from './session/session-list.ts'
