// Names below localhost are this machine, also for Node on a system that does not
// know it. Browsers and curl have it built in.

import dns from 'node:dns'

const lookup = dns.lookup
dns.lookup = (name, options, done) => {
  if (!name.endsWith('.localhost')) return lookup(name, options, done)
  if (typeof options === 'function') [options, done] = [{}, options]
  const address = { address: '127.0.0.1', family: 4 }
  process.nextTick(() => (options.all ? done(null, [address]) : done(null, address.address, address.family)))
}
