// why: a text as an object that has lost the check of its prototype, by another way
// expect: (400|500|504) 
routerAdd("GET", "/attack", (e) => {
	const lib = require("./lib.js");
	const s = "x".repeat(20000);
	for (const make of [() => Object(s), () => new Object(s), () => Reflect.construct(Object, [s]), () => Object.prototype.valueOf.call(s), () => [].concat.call(s, [])[0], () => lib.box(s), () => new String(s), () => Object.assign(s),
		() => { let it; Array.prototype.some.call(s, (c, i, all) => (it = all)); return it; }, () => { let it; [].flatMap.call(s, (c, i, all) => (it = all)); return it; }]) {
		try {
			const o = make();
			if (typeof o !== "object") continue;
			o.__proto__ = null;
			const { ...rest } = o;
			return e.string(200, "LEAK " + make);
		} catch (err) {
			continue;
		}
	}
	throw new Error("contained");
});
