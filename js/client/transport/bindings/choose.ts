// SPDX-License-Identifier: MIT
// The binding that a client's settings ask for.

import { CountersignError } from '../../../common/errors.ts'
import type { ClientSettings } from '../../options.ts'
import type { HttpBinding } from './binding.ts'
import { frameBinding } from './frame.ts'

/** Returns the form in which `request` travels. Rejects with ERR_LOAD_FAILED when its code cannot be loaded. */
export async function requestBinding(settings: ClientSettings): Promise<HttpBinding> {
  if (settings.binding === 'frame') return frameBinding(settings)
  try {
    return (await import('./json.ts')).jsonBinding(settings)
  } catch (cause) {
    throw new CountersignError('ERR_LOAD_FAILED', { cause, detail: 'the JSON binding' })
  }
}
