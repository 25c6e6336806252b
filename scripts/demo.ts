import { constants } from 'node:os'
import { StartError } from '../src/errors.ts'
import { createActors, type Actors } from './demo/actors.ts'
import { check, heading, say, StoryError } from './demo/print.ts'
import { findOrStartService } from './demo/service.ts'

/**
 * `npm run demo`: the life of a session in five steps, told by real requests. Every step checks what it shows, so that
 * exit code 0 says: this service keeps to the story.
 */
async function tell ({ open, refresh, refused, logOutEverywhere }: Actors): Promise<void> {
  heading('1. A user logs in on two devices: the login service opens two sessions')
  const phone1 = await open('phone')
  const laptop1 = await open('laptop')

  heading('2. The phone refreshes: the documented request')
  const phone2 = await refresh('phone', phone1, 2)

  heading('3. The answer is lost on the way: the phone sends the very same request again')
  const again = await refresh('phone', phone1, 2)
  check(again === phone2, 'the refresh token is the one of step 2, byte for byte')

  heading('4. A thief copies generation 2 from the phone, and uses it later')
  say('   Meanwhile the phone moves on.')
  const phone3 = await refresh('phone', phone2, 3)
  const phone4 = await refresh('phone', phone3, 4)
  say('\n   Now the thief comes, with the copy and the phone\'s device id.')
  await refused('phone', phone2, 'generation 2 was used before, so somebody holds a copy')
  say('\n   Thief or owner, the service can\'t tell: the session is over for both.')
  await refused('phone', phone4, 'the newest token of this session is worth nothing now')
  say('\n   The user\'s other device is another session. It lives on.')
  const laptop2 = await refresh('laptop', laptop1, 2)

  heading('5. The user logs out everywhere')
  await logOutEverywhere()
  await refused('laptop', laptop2, 'the newest token of the laptop is worth nothing now')

  say('\nThe service kept to the story in every step.')
}

async function demo (signal: AbortSignal): Promise<void> {
  const service = await findOrStartService(signal)
  try {
    const actors = createActors(service, signal)
    await tell(actors).catch(async err => {
      await actors.cleanUp()
      throw err
    })
  } finally {
    await service.stop()
  }
}

// Whatever cuts the demo short, it ends through `finally`: a signal, or a reader that left (`npm run demo | head`).
const interruption = new AbortController()
const interrupt = (signal: 'SIGINT' | 'SIGTERM' | 'SIGHUP' | 'SIGPIPE'): void => {
  process.exitCode = 128 + constants.signals[signal]
  interruption.abort()
}
process.on('SIGINT', interrupt).on('SIGTERM', interrupt).on('SIGHUP', interrupt)
process.stdout.on('error', () => interrupt('SIGPIPE'))

try {
  await demo(interruption.signal)
} catch (err) {
  if (!interruption.signal.aborted) {
    process.exitCode = 1
    console.error(err instanceof StartError || err instanceof StoryError ? err.message : err)
  }
}
