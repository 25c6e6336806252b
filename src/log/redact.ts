/**
 * Redis errors may quote the command: "ERR unknown command 'auth', with args beginning with: 'user' 'password'".
 * Returns the text without the quoted arguments. All code that shows or logs a Redis error must call this function.
 */
export function withoutArguments (text: string): string {
  return text.replace(/,? with args beginning with.*/g, '')
}
