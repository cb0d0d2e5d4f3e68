// why: a weak map leaves something with its key, and a built-in object is there for ever
// expect: 200 ^contained$
routerAdd("GET", "/attack", (e) => {
	const seen = [];
	const attempts = [
		() => new WeakMap([[Math, "x"]]),
		() => new WeakMap().set(Object.prototype, "x"),
		() => new WeakMap().set(JSON.stringify, "x"),
		() => new WeakMap().set($app, "x"),
		() => new WeakMap().set(Record, "x"),
		() => new WeakMap().set(BadRequestError.prototype, "x"),
		() => new WeakMap().set(globalThis, "x"),
		() => new WeakMap().set([].values().__proto__, "x"),
		() => new WeakMap().set(Object.getPrototypeOf(e), "x"),
		() => new WeakSet().add(Array.prototype),
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
