// why: getters, symbols and prototypes on façades
// expect: 200 ^contained$
routerAdd("GET", "/attack", (e) => {
	const r = new Record("items");
	const seen = [];
	const attempts = [
		() => Object.getPrototypeOf(r).get = 1,
		() => Object.defineProperty(Object.getPrototypeOf(r), "get", { value: 1 }),
		() => (Object.getPrototypeOf(r).extra = 1),
		() => r.get.call({}, "id"),
		() => r.get.call(e, "id"),
		() => $app.save.call(r, r),
		() => $app.save.call({ app: 1 }, r),
		() => r.get.call(Object.create(r), "x"),
		() => Object.getOwnPropertySymbols(r).length || "",
		() => r[Symbol.toPrimitive],
		() => r.__proto__.constructor.constructor("return 1"),
		() => r.valueOf().Id,
		() => Object.getOwnPropertyNames($app).length || "",
		() => Object.getOwnPropertyDescriptor(r, "id").get,
		() => e.next.call($app),
		() => Reflect.ownKeys(Object.getPrototypeOf(r)).filter((k) => /token|sql|scan|value|unmarshal.*JSON$/i.test(String(k))).map((k) => { try { return r[k](); } catch (err) { return ""; } }).filter((v) => typeof v === "string" && v.length > 10).length || "",
	];
	for (const attempt of attempts) {
		try {
			const got = attempt();
			if (got !== undefined && got !== null && got !== "") seen.push(String(attempt) + " -> " + String(got).slice(0, 60));
		} catch (err) {
			// contained
		}
	}
	return e.string(200, seen.length ? "LEAK " + seen.join("; ") : "contained");
});
