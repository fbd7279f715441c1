// SPDX-License-Identifier: MIT
// The page reaches for the key the way any script in it could: straight into the database, past the client.

const DATABASE = 'countersign'

const done = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })

/** readStored returns the record kept under a name, or undefined; it never creates the database. */
export const readStored = async (name) => {
  const request = indexedDB.open(DATABASE)
  request.onupgradeneeded = () => request.transaction.abort()
  let database
  try {
    database = await done(request)
    const [store] = database.objectStoreNames
    return store && (await done(database.transaction(store).objectStore(store).get(name)))
  } catch {
    return undefined
  } finally {
    database?.close()
  }
}

/** tryExport asks the browser for the private key and returns what it did: the formats it refused, with its own words. */
export const tryExport = async (key) => {
  const attempts = []
  for (const format of ['pkcs8', 'jwk']) {
    try {
      await crypto.subtle.exportKey(format, key)
      attempts.push({ format, exported: true })
    } catch (error) {
      attempts.push({ format, exported: false, name: error.name, message: error.message })
    }
  }
  return attempts
}

/** deleteDatabase does what "clear site data" does to this key. */
export const deleteDatabase = () => done(indexedDB.deleteDatabase(DATABASE))
