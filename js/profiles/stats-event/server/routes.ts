// SPDX-License-Identifier: MIT
// The routes of a gateway. Both are signed requests of the header binding, so the user is the session's and the
// signature covers the body.

import { isCountersignError } from '../../../common/errors.ts'
import { JSON_TYPE } from '../../../common/protocol.ts'
import { partOf } from '../../../server/support/checks.ts'
import type { Handler, HandlerResult } from '../../../server/types.ts'
import type { EventMode } from '../types.ts'
import { parseObject } from './read.ts'
import type { Stats } from './stats.ts'
import type { EnrolOutcome } from './types.ts'

function json(status: number, value: unknown): HandlerResult {
  return {
    status,
    contentType: JSON_TYPE,
    payload: JSON.stringify(value)
  }
}

const statusOf: { readonly [Outcome in EnrolOutcome]: number } = {
  enrolled: 200,
  needs_verification: 403,
  device_of_another_user: 409
}

/**
 * Creates the routes of a gateway. `POST /api/stats/sync` takes StatsCode's body and returns its answer. `POST
 * /api/stats/device` takes `{deviceKey, lowestMode}` to enrol a key, or `{deviceId}` to let this session stand for
 * one. It answers `{outcome}`. A session that was enrolled after the present device was bound counts as a
 * verification of the user.
 * @throws ERR_INVALID_ARGUMENT when `stats` is not the result of createStats.
 *
 * @example
 * ```ts
 * const gateway = createGateway({ ...shared, routes: { ...routes, ...statsRoutes(createStats({ store })) } })
 * ```
 */
export function statsRoutes(stats: Pick<Stats, 'sync' | 'enrol' | 'enrolSession'>): {
  readonly [route: string]: Handler
} {
  partOf(stats, ['sync', 'enrol', 'enrolSession'], 'statsRoutes: pass the result of createStats')
  return {
    'POST /api/stats/sync': async ({ userId, session, payload }) => {
      const { status, answer } = await stats.sync({ userId, sessionId: session.id, body: payload })
      return json(status, answer)
    },
    'POST /api/stats/device': async ({ userId, session, payload }) => {
      const { deviceKey, lowestMode, deviceId } = (await parseObject(payload)) ?? {}
      const verifiedMs = session.createdMs
      try {
        const outcome =
          deviceKey === undefined
            ? await stats.enrolSession({ userId, deviceId: deviceId as string, sessionId: session.id, verifiedMs })
            : await stats.enrol({
                userId,
                key: deviceKey as string,
                ...(lowestMode === undefined ? {} : { lowestMode: lowestMode as EventMode }),
                verifiedMs
              })
        return json(statusOf[outcome], { outcome })
      } catch (error) {
        if (!isCountersignError(error) || error.category !== 'usage' || error.code === 'ERR_CLOSED') throw error
        return json(400, { outcome: 'malformed' })
      }
    }
  }
}
