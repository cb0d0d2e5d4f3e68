// why: return() of an iterator that loops and throws
// expect: (400|500|504) 
routerAdd("GET", "/attack", (e) => {
	const it = { [Symbol.iterator]: () => ({ next: () => ({ value: 1, done: false }), return() { for (;;) {} } }) };
	for (;;) {
		try {
			for (const x of it) throw x;
		} catch (err) {
			continue;
		}
	}
});
