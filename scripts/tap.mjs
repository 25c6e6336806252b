// Loaded by .taprc before tap in each test file. tap hooks every import for its own coverage, which costs as much time as all else that a
// short test file does; c8 needs no hooks.
import module from 'node:module'

module.register = module.registerHooks = () => {}
// Not in the programs that the file starts.
delete process.env.NODE_OPTIONS
