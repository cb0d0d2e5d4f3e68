// why: code from text by every constructor of a constructor
// expect: 200 ^contained$
routerAdd("GET", "/attack", (e) => {
	const functions = [function () {}, () => {}, function* () {}, async () => {}, class {}, e.json, $app.save, Record, BadRequestError, RegExp, String, Uint8Array, Map, Promise, console.log, sleep, $dbx.exp, require,
		Object.getOwnPropertyDescriptor(RegExp, Symbol.species).get, Object.getOwnPropertyDescriptor(Object.prototype, "constructor").get, Reflect.apply, Function.prototype, [].values, "".matchAll(/x/g).next];
	const found = [];
	for (const f of functions) {
		for (let p = f; p; p = Object.getPrototypeOf(p)) {
			let c;
			try {
				c = p.constructor;
			} catch (err) {
				continue;
			}
			if (typeof c !== "function" || c === Object) continue;
			for (const make of [() => c("return 7"), () => new c("return 7"), () => Reflect.construct(c, ["return 7"]), () => Reflect.construct(Object, ["return 7"], c)]) {
				try {
					const made = make();
					if (typeof made === "function" && made() === 7) found.push(String(f));
				} catch (err) {
					continue;
				}
			}
		}
	}
	return e.string(200, found.length ? "LEAK " + found : "contained");
});
