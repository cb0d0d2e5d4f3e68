// why: code from text in the global scope
// expect: 200 ^contained$
routerAdd("GET", "/attack", (e) => {
	const seen = [];
	const attempts = [
		() => (function () {}).constructor("return this")(),
		() => (() => {}).constructor("return 1")(),
		() => (function* () {}).constructor("yield 1")().next(),
		() => (async function () {}).constructor("return 1")(),
		() => Function("return 1")(),
		() => new Function("return 1")(),
		() => eval("1+1"),
		() => (0, eval)("1+1"),
		() => Reflect.construct((function () {}).constructor, ["return 1"])(),
		() => Object.getPrototypeOf(async () => {}).constructor("return 1"),
		() => [].map.constructor("return 1")(),
		() => console.log.constructor("return 1")(),
		() => $app.save.constructor("return 1")(),
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
