// SPDX-License-Identifier: MIT

import { decodeBase64, encodeBase64 } from '../../../common/base64.ts'
import { CountersignError, isCountersignError } from '../../../common/errors.ts'
import type { Settings } from '../../options.ts'
import { essence, unsignedAnswer } from '../http.ts'
import { type Binding, isApplicationResult } from './binding.ts'
import { frameBinding } from './frame.ts'

const tools = {
  decodeBase64,
  encodeBase64,
  CountersignError,
  isCountersignError,
  essence,
  unsignedAnswer,
  isApplicationResult
}

/** requestBinding gives the form in which `request` travels; rejects with ERR_LOAD_FAILED where its code cannot be loaded. */
export async function requestBinding(settings: Settings): Promise<Binding> {
  if (settings.binding === 'frame') return frameBinding(settings)
  try {
    return (await import('./json.ts')).jsonBinding(settings, tools)
  } catch (cause) {
    throw new CountersignError('ERR_LOAD_FAILED', { cause, detail: 'the JSON binding' })
  }
}
