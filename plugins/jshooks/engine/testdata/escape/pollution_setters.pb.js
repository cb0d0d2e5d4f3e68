// why: the setters that stand for frozen properties, called on what is shared
// expect: 200 ^contained$
routerAdd("GET", "/attack", (e) => {
	const set = (o, k) => Object.getOwnPropertyDescriptor(o, k).set;
	const setters = [set(Object.prototype, "constructor"), set(Object.prototype, "toString"), set(Error.prototype, "message"), set(Object.prototype, "__proto__")];
	for (const target of [globalThis, Record, Math, Array.prototype, Object.prototype, Function.prototype, console, BadRequestError.prototype, ApiError.prototype, Object.getPrototypeOf(e), Record.prototype, String, RegExp.prototype, [].values().__proto__]) {
		for (const f of setters) {
			try {
				f.call(target, { owned: 1 });
			} catch (err) {
				continue;
			}
			if (target.owned || target.constructor?.owned || target.message?.owned) return e.string(200, "LEAK " + String(target));
		}
	}
	return e.string(200, {}.owned === undefined && [].owned === undefined ? "contained" : "LEAK");
});
