/** As much of PromQL as tells which metrics and labels an expression names. What is no PromQL at all promtool tells. */

export interface Selector {
  metric: string
  /** Its matchers, and the labels that are grouped by around it; a matcher of `=` or `=~` has the values that it asks for. */
  labels: Array<{ name: string, values: string[] }>
}

const keywords = new Set(['and', 'or', 'unless', 'by', 'without', 'on', 'ignoring', 'group_left', 'group_right', 'bool', 'offset'])

/** Every metric that an expression selects. */
export function selectorsOf (expr: string): Selector[] {
  const grouping = [...expr.matchAll(/\b(?:by|without|on|ignoring|group_left|group_right) ?\(([^)]*)\)/g)]
    .flatMap(([, names]) => names!.split(',')).map(name => ({ name: name.trim(), values: [] }))
  const bare = expr.replace(/\b(by|without|on|ignoring|group_left|group_right) ?\([^)]*\)/g, '').replace(/\[[^\]]*\]/g, '')
  return [...bare.matchAll(/([a-z_:][\w:]*)\s*(\(|\{((?:"(?:[^"\\]|\\.)*"|[^"}])*)\})?/gi)]
    .filter(([, name, next]) => next !== '(' && !keywords.has(name!))
    .map(([, metric, , matchers = '']) => ({ metric: metric!, labels: [...labelsOf(matchers), ...grouping] }))
}

function labelsOf (matchers: string): Selector['labels'] {
  return [...matchers.matchAll(/(\w+)\s*(=~|!=|!~|=)\s*"((?:[^"\\]|\\.)*)"/g)].map(([, name, operator, value]) =>
    ({ name: name!, values: operator === '=' ? [value!] : operator === '=~' ? value!.split('|') : [] }))
}
