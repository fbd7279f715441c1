// SPDX-License-Identifier: MIT
// The names of options. People spread one object into the gateway, the enrolment and the stores, so each of them accepts
// every name that another one knows. Any other name is a mistake in writing, which would be dropped without a word.

import { optionsOf } from '../../core/args.ts'

const OPTION_NAMES = [
  // createGateway
  ...['label', 'signer', 'keySigner', 'sessions', 'replay', 'events', 'routes', 'identify', 'limits', 'window'],
  ...[
    'origins',
    'allowOpaqueOrigin',
    'allowHeaders',
    'exposeHeaders',
    'rates',
    'sessionLife',
    'handlerTimeoutMs',
    'compatible',
    'mapTarget',
    'endpoint',
    'serverKeys'
  ],
  ...[
    'actionSecret',
    'phase',
    'legacy',
    'answerHeaders',
    'enrollment',
    'rotation',
    'stepUp',
    'onRotated',
    'onStage',
    'onRefusal'
  ],
  ...['logger', 'onWarning', 'now', 'schedule', 'core'],
  // enrollment
  ...['codes', 'mailer', 'digits', 'pepper', 'mailsPerHour', 'userIdOf', 'emailOf', 'maxSessions', 'onEnrolled'],
  ...['onFailure', 'guests', 'maxGuests', 'onUpgraded', 'enrollmentLimits', 'enrollmentPath'],
  // stores, and what lmdbStores and redisStores return
  ...['path', 'capacity', 'sessionQuota', 'allowCluster', 'answerCapacity', 'eventsPerSession', 'bytesPerSession'],
  ...['bytes', 'eventBytes', 'restored', 'url', 'client', 'prefix', 'deadlineMs', 'onState', 'maxAgeMs'],
  ...['monotonicNow', 'answers', 'close']
] as const

type Unlisted<T> = Exclude<keyof T, (typeof OPTION_NAMES)[number]>

/**
 * Checks that options are an object with known names and returns it. `where` begins the error's hint. The program does
 * not compile where the list above lacks a name of the options' type.
 * @throws ERR_INVALID_ARGUMENT when the value is no object or has a name that no part of the gateway knows.
 */
export function gatewayOptionsOf<T extends object>(
  options: T,
  where: string,
  ..._unlisted: [Unlisted<T>] extends [never] ? [] : [Unlisted<T>]
): T {
  return optionsOf(options, where, OPTION_NAMES)
}
