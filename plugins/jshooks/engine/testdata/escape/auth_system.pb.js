// why: becoming a superuser within the request
// expect: 200 ^contained$
routerAdd("GET", "/attack", (e) => {
	const seen = [];
	const attempts = [
		() => (e.auth = { id: "x", isSuperuser: () => true }, e.auth.id),
		() => (e.auth = new Record("_superusers"), e.auth.id),
		() => (e.set("picoKey", { scopes: ["*"] }), ""),
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
