// why: iterators without an end, for what reads all of one
// expect: (400|500|504) 
routerAdd("GET", "/attack", (e) => {
	const endless = { [Symbol.iterator]: () => ({ next: () => ({ value: [1, 1], done: false }) }) };
	for (const read of [() => Promise.all(endless), () => new Map(endless), () => new Uint8Array(endless), () => Array.from(endless), () => Object.fromEntries(endless), () => new AggregateError(endless)]) {
		try {
			read();
		} catch (err) {
			continue;
		}
	}
	return e.string(200, "LEAK");
});
