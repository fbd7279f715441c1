// SPDX-License-Identifier: MIT
// Types of the platform, found by the globals that have them. A server without the DOM library does not declare them all.
// There such a type is `object`, and the declarations of the package compile without that library.

/** The type of what a global class of the platform makes. */
export type PlatformType<Name extends string> = typeof globalThis extends { [key in Name]: { prototype: infer Found } }
  ? Found
  : object
type OfWebAssembly<Name extends string> = typeof globalThis extends {
  WebAssembly: { [key in Name]: { prototype: infer Found } }
}
  ? Found
  : object

/** A key of WebCrypto. */
export type CryptoKey = PlatformType<'CryptoKey'>

/** A compiled WebAssembly module. */
export type WasmModule = OfWebAssembly<'Module'>

/** The memory of a WebAssembly instance. */
export type WasmMemory = OfWebAssembly<'Memory'>

/** The lock manager of a browser. */
export type LockManager = PlatformType<'LockManager'>
