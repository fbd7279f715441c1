// SPDX-License-Identifier: MIT
// Counters and histograms in the text format of Prometheus. Every label value comes from a fixed set of words of the
// protocol, so nothing that a client sends can add a series.

type Histogram = { bounds: readonly number[]; counts: number[]; sum: number; count: number }

const STAGE_BOUNDS = [0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.005, 0.025, 0.1, 0.5, 1, 5, 30]
const SKEW_BOUNDS = [-3600, -60, -30, -10, -5, -2, -1, -0.2, 0.2, 1, 2, 5, 10, 30, 60, 3600]

const createHistogram = (bounds: readonly number[]): Histogram => ({
  bounds,
  counts: new Array(bounds.length + 1).fill(0),
  sum: 0,
  count: 0
})

function observe(histogram: Histogram, value: number): void {
  let at = 0
  while (at < histogram.bounds.length && value > (histogram.bounds[at] as number)) at++
  histogram.counts[at] = (histogram.counts[at] as number) + 1
  histogram.sum += value
  histogram.count++
}

function writeHistogram(name: string, labels: string, { bounds, counts, sum, count }: Histogram): string[] {
  const join = labels === '' ? '' : `${labels},`
  const only = labels === '' ? '' : `{${labels}}`
  let below = 0
  const lines = bounds.map((bound, at) => {
    below += counts[at] as number
    return `${name}_bucket{${join}le="${bound}"} ${below}`
  })
  return [
    ...lines,
    `${name}_bucket{${join}le="+Inf"} ${count}`,
    `${name}_sum${only} ${sum}`,
    `${name}_count${only} ${count}`
  ]
}

const HELP: { [name: string]: [type: string, help: string] } = {
  countersign_stage_total: ['counter', 'Checks by binding, stage, verdict and code.'],
  countersign_answers_total: ['counter', 'Answers by HTTP status.'],
  countersign_fail_closed_total: ['counter', 'Requests refused because something the gateway needs did not answer.'],
  countersign_rotations_total: ['counter', 'Requests to change a key, by result.'],
  countersign_previous_key_total: ['counter', 'Requests signed by the key before a rotation, while it may count.'],
  countersign_events_published_total: ['counter', 'Events numbered for a session.'],
  countersign_events_sent_total: ['counter', 'Events sent on streams, by carrier and kind.'],
  countersign_streams_ended_total: ['counter', 'Streams ended, by carrier and reason.'],
  countersign_would_refuse_total: ['counter', 'Requests that the phase passes on and `enforce` would refuse.'],
  countersign_stage_seconds: ['histogram', 'Time spent in a stage.'],
  countersign_clock_skew_seconds: ['histogram', "Time on a correctly signed request minus the gateway's."]
}

const labelsOf = (labels: { [name: string]: string | number | boolean }): string =>
  Object.entries(labels)
    .map(([name, value]) => `${name}="${value}"`)
    .join(',')

const stageLabels = (binding: string, stage: string, verdict: string, code: string): string =>
  labelsOf({ binding, stage, verdict, code })

/** The metrics of one gateway. */
export type Metrics = {
  count(name: string, labels: { [name: string]: string | number | boolean }): void
  /** Counts one check and its time in milliseconds. It runs often, so it has counters of its own. */
  stage(binding: string, stage: string, verdict: string, code: string, ms: number): void
  skew(ms: number): void
  /** Adds a number that is read when the text is written. */
  gauge(name: string, help: string, read: () => number | { [labels: string]: number }): void
  text(): string
}

/** Returns empty metrics. */
export function createMetrics(): Metrics {
  const counters = new Map<string, Map<string, number>>()
  const passes = new Map<string, Map<string, { count: number }>>()
  const stages = new Map<string, Histogram>()
  const skews = createHistogram(SKEW_BOUNDS)
  const gauges: { name: string; help: string; read: () => number | { [labels: string]: number } }[] = []

  const bump = (name: string, labels: string): void => {
    const series = counters.get(name) ?? new Map<string, number>()
    if (series.size === 0) counters.set(name, series)
    series.set(labels, (series.get(labels) ?? 0) + 1)
  }

  // Nine of these a request, so they are found without a new string.
  const passesOf = (binding: string, stage: string): { count: number } => {
    const ofBinding = passes.get(binding) ?? new Map<string, { count: number }>()
    if (ofBinding.size === 0) passes.set(binding, ofBinding)
    const pass = ofBinding.get(stage) ?? { count: 0 }
    if (pass.count === 0) ofBinding.set(stage, pass)
    return pass
  }

  const flushPasses = (): void => {
    const series = counters.get('countersign_stage_total') ?? new Map<string, number>()
    for (const [binding, ofBinding] of passes) {
      for (const [stage, { count }] of ofBinding) series.set(stageLabels(binding, stage, 'pass', ''), count)
    }
    if (series.size > 0) counters.set('countersign_stage_total', series)
  }

  const describe = (name: string): string[] => {
    const [type, help] = HELP[name] ?? ['counter', name]
    return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`]
  }

  const writeGauge = ({ name, help, read }: (typeof gauges)[number]): string[] => {
    let value: number | { [labels: string]: number }
    try {
      value = read()
    } catch {
      value = Number.NaN
    }
    const series =
      typeof value === 'number'
        ? [`${name} ${value}`]
        : Object.entries(value).map(([labels, count]) => `${name}{${labels}} ${count}`)
    return [`# HELP ${name} ${help}`, `# TYPE ${name} gauge`, ...series]
  }

  return {
    count: (name, labels) => bump(name, labelsOf(labels)),
    stage(binding, stage, verdict, code, ms) {
      if (verdict === 'pass') passesOf(binding, stage).count++
      else bump('countersign_stage_total', stageLabels(binding, stage, verdict, code))
      const histogram = stages.get(stage) ?? createHistogram(STAGE_BOUNDS)
      if (histogram.count === 0) stages.set(stage, histogram)
      observe(histogram, ms / 1000)
    },
    skew: (ms) => observe(skews, ms / 1000),
    gauge: (name, help, read) => void gauges.push({ name, help, read }),
    text() {
      flushPasses()
      return [
        ...[...counters].flatMap(([name, series]) => [
          ...describe(name),
          ...[...series].map(([labels, value]) => `${name}${labels === '' ? '' : `{${labels}}`} ${value}`)
        ]),
        ...describe('countersign_stage_seconds'),
        ...[...stages].flatMap(([stage, histogram]) =>
          writeHistogram('countersign_stage_seconds', `stage="${stage}"`, histogram)
        ),
        ...describe('countersign_clock_skew_seconds'),
        ...writeHistogram('countersign_clock_skew_seconds', '', skews),
        ...gauges.flatMap(writeGauge),
        ''
      ].join('\n')
    }
  }
}
