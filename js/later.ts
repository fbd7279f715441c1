// SPDX-License-Identifier: MIT
// What is no part of a page's first download, each loaded by the call that needs it.

import { CountersignError } from './errors.ts'

const failed = (cause: unknown): never => {
  throw new CountersignError('ERR_LOAD_FAILED', { cause })
}

/** loadChanges loads what enrols and rotates keys; rejects with ERR_LOAD_FAILED. */
export const loadChanges = () => import('./changes.ts').catch(failed)

/** loadHeader loads the header binding; rejects with ERR_LOAD_FAILED. */
export const loadHeader = () => import('./transport/header.ts').catch(failed)
