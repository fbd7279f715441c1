// SPDX-License-Identifier: MIT
// What begins a session, changes its key or lists it: needed now and then, so loaded when it is needed.

export { askStorage } from './client/keys/storage-report.ts'
export { enroll } from './client/session/enroll.ts'
export { enrollByEmail } from './client/session/enroll-by-email.ts'
export { renew, rotate, settle } from './client/session/rotate-key.ts'
export { readSessions } from './client/session/session-list.ts'
