// why: every method of arrays, on a sparse one
// expect: 200 ^contained$
routerAdd("GET", "/attack", (e) => {
	for (const name of Reflect.ownKeys(Array.prototype)) {
		if (["indexOf", "lastIndexOf", "includes", "join", "toString", "toLocaleString", "sort", "toSorted", "concat", "flat", "flatMap"].includes(name)) continue;
		const list = [];
		list.length = 4294967295;
		try {
			const fn = list[name];
			if (typeof fn === "function" && name !== "constructor") fn.call(list, () => {});
		} catch (err) {
			continue;
		}
	}
	return e.string(200, "contained");
});
