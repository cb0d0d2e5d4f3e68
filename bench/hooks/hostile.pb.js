// What attacks the server it runs in. SILENT is a server that never answers.
routerAdd('GET', '/loop', () => { for (;;) { try { for (;;) {} } catch (e) {} } })
routerAdd('GET', '/memory', () => { const all = []; for (;;) all.push('x'.repeat(1000).split('')) })
routerAdd('GET', '/regexp', () => { for (;;) /^(?=(a+)+$)b/.test('a'.repeat(50) + 'b') })
routerAdd('GET', '/promises', () => { const again = () => Promise.resolve().then(again); again(); return Promise.resolve() })
routerAdd('GET', '/network', () => { for (;;) { try { $http.send({ url: 'SILENT' }) } catch (e) {} } })
routerAdd('GET', '/hello', (e) => e.json(200, { hello: 'all' }))
