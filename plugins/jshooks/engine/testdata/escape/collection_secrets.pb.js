// why: the secret of tokens is an option of the collection
// expect: 200 ^contained$
routerAdd("GET", "/attack", (e) => {
	const seen = [];
	const attempts = [
		() => $app.findCollectionByNameOrId("users").authToken,
		() => $app.findCollectionByNameOrId("users").authToken.secret,
		() => $app.findCollectionByNameOrId("users").oauth2,
		() => $app.findCollectionByNameOrId("users").options,
		() => /secret/i.test(JSON.stringify($app.findCollectionByNameOrId("users"))) ? 1 : "",
		() => $app.findCollectionByNameOrId("users").dbExport($app),
		() => $app.findCollectionByNameOrId("users").getIndex("x"),
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
