// .taprc loads this script before tap in each test file, which is a short process: half of its CPU time was for work that helps only a
// long one.
import module from 'node:module'
import v8 from 'node:v8'

// tap hooks every import for its own coverage. The project measures coverage with c8, which needs no hooks.
module.register = module.registerHooks = () => {}
// Node 20 optimises functions early. Later versions wait longer by themselves.
if (process.versions.node.startsWith('20.')) v8.setFlagsFromString('--interrupt-budget=2000000')
// Programs that the test file starts must not load this script.
delete process.env.NODE_OPTIONS
