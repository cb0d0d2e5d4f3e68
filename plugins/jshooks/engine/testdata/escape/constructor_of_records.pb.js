// why: the constructor of a record is Object, which makes no code
// expect: 200 ^contained$
routerAdd("GET", "/attack", (e) => {
	const r = new Record("items");
	const c = r.__proto__.constructor;
	let made = "";
	try {
		made = typeof c.constructor("return 7");
	} catch (err) {
		made = err.name;
	}
	return e.string(200, c === Object && String(c("return 1")) === "return 1" && made === "RefusedError" ? "contained" : "LEAK " + c + made);
});
