// SPDX-License-Identifier: MIT
// How long the page waits before it gives up. On a machine that is very busy, `?patience=20` multiplies every limit.

/** patience is the factor of every limit of this page, 1 to 100; 1 where the address names none. */
export const patience = (() => {
  const given = Number(new URLSearchParams(location.search).get('patience') ?? 1)
  return given >= 1 && given <= 100 ? given : 1
})()
