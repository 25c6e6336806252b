/**
 * What Redis says of a command may quote it: "ERR unknown command 'auth', with args beginning with: 'user' 'password'".
 * Returns the text without the quotation; everything that shows or logs a Redis error goes through here.
 */
export function withoutArguments (text: string): string {
  return text.replace(/,? with args beginning with.*/g, '')
}
