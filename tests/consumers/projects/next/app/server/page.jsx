// SPDX-License-Identifier: MIT
import { connect, emailEnrollment, memoryStore } from 'countersign'
import { run } from '../../flow.js'

const Page = async ({ searchParams }) => {
  const search = new URLSearchParams(await searchParams)
  const { value, error } = await run({ connect, emailEnrollment, memoryStore }, search, false)
  return <pre>{value ?? error}</pre>
}

export { Page as default }
