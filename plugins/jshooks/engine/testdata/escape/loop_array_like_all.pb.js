// why: every method of arrays, over a length without end
// expect: 200 ^contained$
routerAdd("GET", "/attack", (e) => {
	const seen = [];
	for (const name of Reflect.ownKeys(Array.prototype)) {
		if (["indexOf", "lastIndexOf", "includes", "join", "toString", "toLocaleString", "sort", "toSorted", "concat", "flat", "flatMap"].includes(name)) continue;
		const like = { length: 4e15, 0: 1 };
		try {
			const fn = Array.prototype[name];
			if (typeof fn === "function" && name !== "constructor") fn.call(like, () => {});
		} catch (err) {
			continue;
		}
	}
	return e.string(200, "contained");
});
