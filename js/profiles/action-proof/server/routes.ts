// SPDX-License-Identifier: MIT
// The routes of a gateway: both are signed requests, so the user is the session's.

import { partOf } from '../../../server/support/checks.ts'
import type { Handler, HandlerResult } from '../../../server/types.ts'
import { ACTION_TYPE } from '../strict.ts'
import type { ActionProofs } from './proofs.ts'
import type { ProofOutcome } from './types.ts'

const JSON_TYPE = 'application/json'

function plain({ status, body }: ProofOutcome): HandlerResult {
  return {
    status,
    contentType: JSON_TYPE,
    payload: JSON.stringify(body)
  }
}

function coded({ body }: ProofOutcome): HandlerResult {
  return {
    resultCode: typeof body.error === 'string' ? body.error : 'ok',
    payload: JSON.stringify(body)
  }
}

/**
 * Makes the routes of a gateway: `score.update`, the strict mode, whose payload is `{"action_proof":{…}}` without a
 * signature of its own; and `POST /api/score/update`, which takes the body of the compatible mode inside a signed request of the
 * header binding.
 *
 * @example
 * ```ts
 * const gateway = createGateway({ ...shared, actionSecret: secretHandler(secrets), routes: { ...routes, ...actionRoutes(proofs) } })
 * ```
 */
export function actionRoutes(proofs: Pick<ActionProofs, 'handle'>): { readonly [route: string]: Handler } {
  partOf(proofs, ['handle'], 'actionRoutes: pass the result of actionProofs')
  return {
    [ACTION_TYPE]: async ({ userId, session, payload }) =>
      coded(
        await proofs.handle({ body: payload as Uint8Array<ArrayBuffer>, userId, sessionId: session.id, isSigned: true })
      ),
    'POST /api/score/update': async ({ userId, session, payload }) =>
      plain(await proofs.handle({ body: payload as Uint8Array<ArrayBuffer>, userId, sessionId: session.id }))
  }
}
