/** Finds the metrics and labels in a PromQL expression. promtool checks the syntax. */

export interface Selector {
  metric: string
  /** Labels of its matchers and of the groupings around it. `values` are the values of `=` and `=~` matchers. */
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
