const ORIGIN = /^[a-z][a-z\d+.-]*:\/\/(\[[\da-f:.]+\]|[a-z\d._-]+)(:\d{1,5})?$/

/** The origins of `CORS_ORIGINS`. */
export function splitOrigins (list: string): string[] {
  return list.split(',').map(origin => origin.trim())
}

/**
 * Whether each entry is an origin as a browser sends it (RFC 6454 section 6.2): lower case, no path, no default port. Apps
 * have schemes of their own, for example `capacitor://localhost`.
 */
export function areOrigins (list: string): boolean {
  return splitOrigins(list).every(origin =>
    ORIGIN.test(origin) && (!/^https?:/.test(origin) || (URL.canParse(origin) && new URL(origin).origin === origin)))
}
