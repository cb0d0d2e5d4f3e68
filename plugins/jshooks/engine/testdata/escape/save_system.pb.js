// why: writing what signs in as superuser
// expect: 200 ^contained$
routerAdd("GET", "/attack", (e) => {
	const users = $app.findCollectionByNameOrId("users");
	const seen = [];
	const attempts = [
		() => $app.save(users),
		() => $app.save({ id: "x", tableName: () => "_superusers" }),
		() => $app.save(Object.create(new Record("items"))),
		() => (users.name = "x", users.name === "x" ? 1 : ""),
		() => (users.listRule = null, users.listRule === null ? 1 : ""),
		() => $app.delete(users),
		() => $app.truncateCollection(users),
		() => new Collection({}),
		() => new TextField({}),
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
