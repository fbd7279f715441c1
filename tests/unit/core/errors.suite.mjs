// SPDX-License-Identifier: MIT
// CountersignError: what every refusal of this package looks like.

import { CountersignError, errorFrom, isCountersignError } from 'countersign/core'

export const suite = (test, assert) => {
  test('category, stage, retry and message follow from the code', () => {
    const error = new CountersignError('ERR_BAD_SIGNATURE')
    const { code, category, stage, retry, message, name } = error
    assert.deepEqual(
      { code, category, stage, retry, message, name },
      {
        code: 'ERR_BAD_SIGNATURE',
        category: 'rejected',
        stage: 'signature',
        retry: 'never',
        message: 'the signature does not verify',
        name: 'CountersignError'
      }
    )
    assert.equal(error.resultCode, undefined)
    assert.equal(error.retryAfterMs, undefined)
    assert.ok(error instanceof Error)
  })

  test('stage, result code, waiting time, cause and a hint can be given', () => {
    const cause = new Error('why')
    const init = { stage: 'replay', resultCode: 'cs.unavailable', retryAfterMs: 500, cause, detail: 'a hint' }
    const error = new CountersignError('ERR_UNAVAILABLE', init)
    assert.equal(error.stage, 'replay')
    assert.equal(error.resultCode, 'cs.unavailable')
    assert.equal(error.retryAfterMs, 500)
    assert.equal(error.retry, 'after')
    assert.equal(error.cause, cause)
    assert.ok(error.message.endsWith(': a hint'))
    assert.equal('cause' in new CountersignError('ERR_CLOSED'), false)
  })

  test('aborts and time-outs carry the names that fetch gives them', () => {
    assert.equal(new CountersignError('ERR_ABORTED').name, 'AbortError')
    assert.equal(new CountersignError('ERR_TIMEOUT').name, 'TimeoutError')
    const late = new DOMException('late', 'TimeoutError')
    assert.equal(new CountersignError('ERR_ABORTED', { cause: late }).name, 'TimeoutError')
    assert.equal(new CountersignError('ERR_NETWORK', { cause: late }).name, 'CountersignError')
  })

  test('the record of an error goes through JSON and structured cloning, and becomes the same error again', () => {
    const cause = Object.assign(new TypeError('fetch failed'), { notCloneable: () => {} })
    const init = { cause, resultCode: 'cs.unavailable', retryAfterMs: 5, stage: 'handler', detail: 'a hint' }
    const errors = [
      new CountersignError('ERR_UNAVAILABLE', init),
      new CountersignError('ERR_FREED'),
      new CountersignError('ERR_ABORTED', { cause: new DOMException('late', 'TimeoutError') }),
      new CountersignError('ERR_ABORTED', { cause: 'a reason' })
    ]
    for (const error of errors) {
      for (const record of [JSON.parse(JSON.stringify(error)), structuredClone(error.toJSON())]) {
        const again = errorFrom(record)
        assert.ok(isCountersignError(again) && again instanceof CountersignError)
        for (const name of ['name', 'message', 'code', 'category', 'stage', 'retry', 'resultCode', 'retryAfterMs'])
          assert.equal(again[name], error[name], `${error.code} ${name}`)
        assert.equal(again.cause?.message, error.cause?.message)
        assert.equal('cause' in again, 'cause' in error)
      }
    }
    const { message: _, ...early } = errors[0].toJSON()
    assert.equal(errorFrom(early).code, 'ERR_UNAVAILABLE')
    for (const none of [{}, { code: 'ERR_OF_TOMORROW' }, { code: 'toString' }, { code: 7 }])
      assert.throws(() => errorFrom(none), { code: 'ERR_INVALID_ARGUMENT' })
  })

  test('an error is recognised by its brand, across copies of the package, and nothing else is', () => {
    assert.equal(isCountersignError(new CountersignError('ERR_FREED')), true)
    assert.equal(isCountersignError(Object.assign(new Error('x'), { [Symbol.for('countersign.error')]: true })), true)
    for (const other of [
      new Error('x'),
      { code: 'ERR_FREED' },
      undefined,
      null,
      'ERR_FREED',
      5,
      () => {},
      CountersignError
    ]) {
      assert.equal(isCountersignError(other), false)
    }
  })
}
