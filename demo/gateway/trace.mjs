// SPDX-License-Identifier: MIT
// The stages of the latest exchanges, for the lights of the page. Bounded: the oldest request is forgotten first.

/** createTrace returns `note` for the gateway's onStage hook and `of` for GET /dev/trace. */
export const createTrace = ({ requests = 512, stagesPerRequest = 64 } = {}) => {
  const byRequest = new Map()
  return {
    note({ requestId, exchange, stage, verdict, code, ms, binding }) {
      if (!requestId) return
      const stages = byRequest.get(requestId) ?? []
      if (stages.length >= stagesPerRequest) return
      byRequest.set(requestId, stages)
      stages.push({ exchange, binding, stage, verdict, ...(code === undefined ? {} : { code }), ms })
      if (byRequest.size > requests) byRequest.delete(byRequest.keys().next().value)
    },
    /** of returns every stage reported for an id in the order of the reports; `exchange` tells a replay from the first pass. */
    of: (requestId) => byRequest.get(requestId) ?? []
  }
}
