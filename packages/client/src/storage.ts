/** Where the session is kept: one text. Each function may return a promise. */
export interface TokenStorage {
  /** Returns the text; `null` or `undefined` when there is none. */
  get (): string | null | undefined | Promise<string | null | undefined>
  /** Replaces the text in one write: after a crash the storage holds the old text or the new one. */
  set (value: string): void | Promise<void>
  remove (): void | Promise<void>
  /** For a storage that tabs share: calls the listener when another tab has changed the text. Returns a function that ends the calls. */
  subscribe? (listener: () => void): () => void
}

/** The part of the Web Storage standard's `Storage` that is used. */
export interface WebStorageArea {
  getItem (key: string): string | null
  setItem (key: string, value: string): void
  removeItem (key: string): void
}

interface StorageEventTarget {
  localStorage: WebStorageArea
  addEventListener (type: 'storage', listener: (event: { key: string | null, storageArea: unknown }) => void): void
  removeEventListener: StorageEventTarget['addEventListener']
}

const page = globalThis as unknown as StorageEventTarget

/** One session for all tabs of a browser, at this key of `localStorage`. Every script of the page's origin can read it. */
export function webStorage (key = 'session', area = page.localStorage): TokenStorage {
  return {
    get: () => area.getItem(key),
    set: value => { area.setItem(key, value) },
    remove: () => { area.removeItem(key) },
    subscribe (listener) {
      const onStorage = (event: { key: string | null, storageArea: unknown }): void => {
        // The key is null when everything was removed.
        if (event.storageArea === area && (event.key === key || event.key === null)) listener()
      }
      page.addEventListener('storage', onStorage)
      return () => { page.removeEventListener('storage', onStorage) }
    }
  }
}

/** A session that ends with the page or the process. */
export function memoryStorage (): TokenStorage {
  let text: string | null = null
  return {
    get: () => text,
    set: value => { text = value },
    remove: () => { text = null }
  }
}
