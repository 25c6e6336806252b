import { hashDevice } from '#src/sessions/record'

/**
 * Names a session for its rate. A thief with the token and another device id counts under another name, or the owner would
 * be locked out. 18 bits of the device's hash: enough that a thief does not hit on the owner's name, and no session has more
 * than 262,144 counters, however many ids are made up.
 */
export function nameOfSession (sid: string, deviceId: string): string {
  return `${sid}:${hashDevice(deviceId).slice(0, 3)}`
}
