// why: odd values in the log
// expect: 200 ^contained$
routerAdd("GET", "/attack", (e) => {
	const o = {};
	o.self = o;
	for (const v of [o, { get x() { throw 1; } }, { toString() { throw 2; } }, { toJSON() { throw 3; } }, Symbol("x"), null, undefined, () => {}, [[]], new Map(), -0, NaN, Object.create(null)]) {
		try {
			console.log(v);
		} catch (err) {
			continue;
		}
	}
	return e.string(200, "contained");
});
