// why: superusers, keys and tokens are tables too
// expect: 200 ^contained$
routerAdd("GET", "/attack", (e) => {
	const seen = [];
	const attempts = [
		() => $app.findAllRecords("_superusers").length,
		() => $app.findRecordsByFilter("_superusers", "id != ''").length,
		() => $app.findAuthRecordByEmail("_superusers", "test@example.com"),
		() => $app.findCollectionByNameOrId("_superusers"),
		() => $app.findCollectionByNameOrId("pbc_3142635823"),
		() => $app.findRecordById("_pico_keys", "x"),
		() => $app.countRecords("_externalAuths"),
		() => new Record("_superusers"),
		() => $app.recordQuery("_superusers"),
		() => $app.findFirstRecordByData("_authOrigins", "id", "x"),
		() => $app.findAllCollections().filter((c) => c.name.startsWith("_")).length || "",
		() => $app.findAuthRecordByToken("x"),
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
