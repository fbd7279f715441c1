// SPDX-License-Identifier: MIT
// What begins a session, changes its key or lists it: needed now and then, so loaded when it is needed.

export { askStorage } from './keys/storage-report.ts'
export { enroll, enrollByEmail } from './session/enroll.ts'
export { renew, rotate, settle } from './session/rotate-key.ts'
export { readSessions } from './session/session-list.ts'
