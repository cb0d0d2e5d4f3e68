// why: long chains of prototypes and bound functions
// expect: (504|500|200)
routerAdd("GET", "/attack", (e) => {
	let o = {};
	let f = () => 1;
	for (let i = 0; i < 200000; i++) {
		o = Object.create(o);
		f = f.bind(null);
	}
	try {
		f();
	} catch (err) {
		// too deep
	}
	return e.string(200, o.missing === undefined ? "contained" : "LEAK");
});
