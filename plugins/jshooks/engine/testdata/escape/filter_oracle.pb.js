// why: a filter can join other collections
// expect: 200 ^contained$
routerAdd("GET", "/attack", (e) => {
	const seen = [];
	const attempts = [
		() => $app.findRecordsByFilter("users", "@collection._superusers.email ~ 'test'").length,
		() => $app.findRecordsByFilter("users", "@collection.pbc_3142635823.tokenKey ~ 'a'").length,
		() => $app.findRecordsByFilter("users", "@collection . _superusers.id != ''").length,
		() => $app.findRecordsByFilter("users", "_externalAuths_via_recordRef.id != ''").length,
		() => $app.findRecordsByFilter("users", "id != ''", "_authOrigins_via_recordRef.id").length,
		() => $app.canAccessRecord($app.findFirstRecordByFilter("users", "id != ''"), e.requestInfo(), "@collection._superusers.id != ''"),
		() => $app.expandRecord($app.findFirstRecordByFilter("users", "id != ''"), ["_externalAuths_via_recordRef"]),
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
