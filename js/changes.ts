// SPDX-License-Identifier: MIT
// What begins a session, changes its key or lists it: needed now and then, so loaded when it is needed.

export { askStorage } from './client/keys/storage-report.ts'
export { enrollByEmail } from './email-enrollment.ts'
export { enroll } from './enrollment.ts'
export { renew, rotate, settle } from './rotation.ts'
export { readSessions } from './sessions.ts'
