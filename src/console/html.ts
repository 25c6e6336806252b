/** A text that is HTML already, so `html` does not escape it. */
export interface Html {
  readonly html: string
}

const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

/**
 * Template tag for HTML. Escapes every value for text and for attributes in quotes; lists are joined, and `undefined`, `null` and `false`
 * are left out.
 */
export function html (parts: TemplateStringsArray, ...values: unknown[]): Html {
  return { html: String.raw({ raw: parts }, ...values.map(toHtml)) }
}

function toHtml (value: unknown): string {
  if (value === undefined || value === null || value === false) return ''
  if (Array.isArray(value)) return value.map(toHtml).join('')
  if (typeof value === 'object' && 'html' in value) return (value as Html).html
  return String(value).replace(/[&<>"']/g, mark => entities[mark]!)
}
