import { hashDevice } from '#src/sessions/record'

/**
 * Names a session for its rate limit. A thief with the token and another device id counts under another name, so that the
 * thief can't lock the owner out. The name has 18 bits of the device's hash: enough that a thief does not find the owner's
 * name, and few enough that a session has at most 262,144 counters, however many device ids are invented.
 */
export function nameOfSession (sid: string, deviceId: string): string {
  return `${sid}:${hashDevice(deviceId).slice(0, 3)}`
}
