// SPDX-License-Identifier: MIT
// What js/events shares with the client that has loaded it. It is handed over, not imported: for what both import, a bundler
// would cut the client in two, and every page would download more.

import type * as requests from '../client/call-options.ts'
import type * as limits from '../client/limits.ts'
import type * as bindings from '../client/transport/bindings/binding.ts'
import type * as frames from '../client/transport/bindings/frame.ts'
import type * as digests from '../client/transport/digest.ts'
import type * as exchanges from '../client/transport/exchange.ts'
import type * as http from '../client/transport/http.ts'
import type * as answers from '../client/transport/refusals.ts'
import type * as base64 from '../common/base64.ts'
import type * as errors from '../common/errors.ts'
import type * as args from '../core/args.ts'

export type Kit = {
  readonly decodeBase64Url: typeof base64.decodeBase64Url
  readonly badArgument: typeof args.badArgument
  readonly integerOf: typeof args.integerOf
  readonly optionsOf: typeof args.optionsOf
  readonly textOf: typeof args.textOf
  readonly digest: typeof digests.digest
  readonly CountersignError: typeof errors.CountersignError
  readonly isCountersignError: typeof errors.isCountersignError
  readonly encodeJson: typeof requests.encodeJson
  readonly signalOf: typeof requests.signalOf
  readonly isRefusal: typeof answers.isRefusal
  readonly refusalOf: typeof answers.refusalOf
  readonly isApplicationResult: typeof bindings.isApplicationResult
  readonly openAnswer: typeof exchanges.openAnswer
  readonly signRequest: typeof exchanges.signRequest
  readonly takeTime: typeof exchanges.takeTime
  readonly frameBinding: typeof frames.frameBinding
  readonly splitFrame: typeof frames.splitFrame
  readonly essence: typeof http.essence
  readonly readBody: typeof http.readBody
  readonly send: typeof http.send
  readonly unsignedAnswer: typeof http.unsignedAnswer
  readonly pause: typeof limits.pause
}

export type CountersignError = errors.CountersignError

export let decodeBase64Url: Kit['decodeBase64Url']
export let badArgument: Kit['badArgument']
export let integerOf: Kit['integerOf']
export let optionsOf: Kit['optionsOf']
export let textOf: Kit['textOf']
export let digest: Kit['digest']
export let CountersignError: Kit['CountersignError']
export let isCountersignError: Kit['isCountersignError']
export let encodeJson: Kit['encodeJson']
export let signalOf: Kit['signalOf']
export let isRefusal: Kit['isRefusal']
export let refusalOf: Kit['refusalOf']
export let isApplicationResult: Kit['isApplicationResult']
export let openAnswer: Kit['openAnswer']
export let signRequest: Kit['signRequest']
export let takeTime: Kit['takeTime']
export let frameBinding: Kit['frameBinding']
export let splitFrame: Kit['splitFrame']
export let essence: Kit['essence']
export let readBody: Kit['readBody']
export let send: Kit['send']
export let unsignedAnswer: Kit['unsignedAnswer']
export let pause: Kit['pause']

/** unpack takes the kit over, before anything else of js/events runs. */
export const unpack = (kit: Kit): void => {
  ;({
    decodeBase64Url,
    badArgument,
    integerOf,
    optionsOf,
    textOf,
    digest,
    CountersignError,
    isCountersignError,
    encodeJson,
    signalOf,
    isRefusal,
    refusalOf,
    isApplicationResult,
    openAnswer,
    signRequest,
    takeTime,
    frameBinding,
    splitFrame,
    essence,
    readBody,
    send,
    unsignedAnswer,
    pause
  } = kit)
}
