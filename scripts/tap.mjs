// .taprc loads this script before tap in each test file. tap hooks every import for its own coverage, which nearly doubles the CPU time of
// a short test file. The project measures coverage with c8, which needs no hooks.
import module from 'node:module'
import './optimise-late.mjs'

module.register = module.registerHooks = () => {}
// Programs that the test file starts must not load this script.
delete process.env.NODE_OPTIONS
