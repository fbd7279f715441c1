// SPDX-License-Identifier: MIT
// The code that begins a session, changes its key or lists sessions. A client needs it rarely, so it is loaded on
// demand.

export { askStorage } from './keys/storage-report.ts'
export { enrollByEmail } from './session/email-enrollment.ts'
export { enroll } from './session/enroll.ts'
export { enrollAsGuest } from './session/guest.ts'
export { renew, rotate, settle } from './session/rotate-key.ts'
export { readSessions } from './session/session-list.ts'
export { withHint } from './transport/loss-hint.ts'
