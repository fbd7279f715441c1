// SPDX-License-Identifier: MIT
'use client'

import { connect, emailEnrollment, memoryStore } from 'countersign'
import { useEffect } from 'react'
import { run } from '../flow.js'

const Page = () => {
  useEffect(() => {
    run({ connect, emailEnrollment, memoryStore }, location.search).then((outcome) => {
      globalThis.outcome = outcome
    })
  }, [])
  return <p>A client component</p>
}

export { Page as default }
