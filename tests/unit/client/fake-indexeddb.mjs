// SPDX-License-Identifier: MIT
// As much of IndexedDB as a key store uses, with a fault in any of its calls. A fault is an Error (thrown by the call), a
// string naming an error (its request fails with that), 'hang' (nothing ever happens), 'null' (it succeeds with nothing),
// 'late' (an open that takes 800 ms), or a function that gives one of these for the value to be written.

const failure = (name) => new DOMException(`made to fail: ${name}`, name)

export const fakeIndexedDb = () => {
  const databases = new Map()
  const factory = { faults: {}, opened: 0, late: 0, connections: new Set() }

  const fire = (target, name, event = {}) => setTimeout(() => target[name]?.({ target, ...event }))

  const throwIfTold = (call, value) => {
    const told = factory.faults[call]
    const fault = typeof told === 'function' ? told(value) : told
    if (fault instanceof Error) throw fault
    return fault
  }

  const ask = (call, transaction, work, value) => {
    const fault = throwIfTold(call, value)
    const request = { result: undefined, error: null }
    transaction.requests++
    if (fault === 'hang') return request
    setTimeout(() => {
      const error = typeof fault === 'string' && fault !== 'null' ? failure(fault) : undefined
      try {
        if (error) throw error
        if (fault !== 'null') request.result = work()
        request.onsuccess?.({ target: request })
        if (!transaction.isAborted && throwIfTold('commit') !== 'hang') fire(transaction, 'oncomplete')
      } catch (cause) {
        request.error = cause
        transaction.error = cause
        transaction.onerror?.({ target: request })
        fire(transaction, 'onabort')
      }
    })
    return request
  }

  const createTable = (records, transaction) => ({
    get: (name) => ask('get', transaction, () => records.get(name)),
    getAll: () => ask('getAll', transaction, () => [...records.values()]),
    add: (value, name) => {
      const work = () => {
        if (records.has(name)) throw failure('ConstraintError')
        records.set(name, { ...value })
      }
      return ask('add', transaction, work, value)
    },
    put: (value, name) => ask('put', transaction, () => void records.set(name, { ...value }), value),
    delete: (name) => ask('delete', transaction, () => void records.delete(name))
  })

  const connect = (database) => {
    const db = {
      database,
      isClosed: false,
      close: () => {
        db.isClosed = true
        factory.connections.delete(db)
      },
      version: database.version,
      objectStoreNames: { contains: (name) => Object.hasOwn(database.tables, name) },
      createObjectStore: (name) => {
        database.tables[name] = new Map()
      },
      transaction: (name) => {
        throwIfTold('transaction')
        if (db.isClosed) throw failure('InvalidStateError')
        const transaction = {
          requests: 0,
          error: null,
          isAborted: false,
          abort: () => {
            transaction.isAborted = true
          }
        }
        transaction.objectStore = () => {
          throwIfTold('objectStore')
          return createTable(database.tables[name], transaction)
        }
        return transaction
      }
    }
    factory.connections.add(db)
    return db
  }

  factory.open = (name, version) => {
    const fault = throwIfTold('open')
    const request = { result: undefined, error: null }
    factory.opened++
    if (fault === 'hang') return request
    if (fault === 'blocked') {
      fire(request, 'onblocked')
      return request
    }
    setTimeout(
      () => {
        if (typeof fault === 'string' && fault !== 'late') {
          request.error = failure(fault)
          return request.onerror?.({ target: request })
        }
        const database = databases.get(name) ?? { version: 0, tables: {} }
        databases.set(name, database)
        if (version < database.version) {
          request.error = failure('VersionError')
          return request.onerror?.({ target: request })
        }
        const isNew = database.version < (version ?? 1)
        if (isNew) {
          const others = () => [...factory.connections].filter((other) => other.database === database)
          for (const other of others()) other.onversionchange?.({ target: other })
          if (others().length > 0) return request.onblocked?.({ target: request })
          database.version = version ?? 1
        }
        request.result = connect(database)
        if (isNew) request.onupgradeneeded?.({ target: request })
        request.onsuccess?.({ target: request })
        if (fault === 'late') factory.late++
      },
      fault === 'late' ? 800 : 0
    )
    return request
  }
  return factory
}
