// why: a hook in the way of a superuser
// expect: 200 ^contained$
routerAdd("GET", "/attack", (e) => {
	const seen = [];
	const attempts = [
		() => e.hasSuperuserAuth() ? e.request.header.get("Authorization") : "not a superuser",
		() => e.request.header.values("authorization").join(),
		() => e.requestInfo().headers.authorization,
		() => e.requestInfo().headers["authorization"],
		() => JSON.parse(JSON.stringify(e.request.header)).Authorization,
		() => e.get("picoKey"),
		() => e.get("picobase"),
		() => e.request.cookie("x"),
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
