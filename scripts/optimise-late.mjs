// For tests, whose processes are short: Node 20 optimises functions early, on which a start spends a fifth of its CPU time or more. Later
// versions wait longer by themselves, and don't know the flag.
import v8 from 'node:v8'

if (process.versions.node.startsWith('20.')) v8.setFlagsFromString('--interrupt-budget=2000000')
