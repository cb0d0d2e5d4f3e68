// why: proxies reach into native code
// expect: 200 ^contained$
routerAdd("GET", "/attack", (e) => {
	const seen = [];
	const attempts = [
		() => new Proxy({}, {}),
		() => Proxy.revocable({}, {}),
		() => Reflect.construct(Proxy, [{}, {}]),
		() => new (Object.getOwnPropertyDescriptor(globalThis, "Proxy").value)({}, {}),
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
