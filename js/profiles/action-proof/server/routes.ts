// SPDX-License-Identifier: MIT
// Routes of a gateway. Both are signed requests, so the user is the session's.

import { JSON_TYPE } from '../../../common/protocol.ts'
import { partOf } from '../../../server/support/checks.ts'
import type { Handler, HandlerResult } from '../../../server/types.ts'
import { ACTION_TYPE } from '../strict.ts'
import type { ActionProofs } from './proofs.ts'
import type { ProofOutcome } from './types.ts'

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
 * Creates the routes of a gateway. `score.update` is the strict mode: its payload is `{"action_proof":{…}}` without a
 * signature of its own. `POST /api/score/update` takes a body of the compatible mode inside a signed request of the
 * header binding.
 * @throws ERR_INVALID_ARGUMENT when `proofs` is not the result of actionProofs.
 *
 * @example
 * ```ts
 * const actionSecret = secretHandler(secrets)
 * const gateway = createGateway({ ...shared, actionSecret, routes: { ...routes, ...actionRoutes(proofs) } })
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
