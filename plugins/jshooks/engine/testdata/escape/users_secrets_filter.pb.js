// why: hashes and keys of tokens, letter by letter
// expect: 200 ^contained$
routerAdd("GET", "/attack", (e) => {
	const seen = [];
	const attempts = [
		() => $app.findRecordsByFilter("users", "password ~ '$2a'").length,
		() => $app.findRecordsByFilter("users", "tokenKey > 'a'").length,
		() => $app.findRecordsByFilter("users", "(id != '' && (TOKENKEY != ''))").length,
		() => $app.findRecordsByFilter("users", "id != '' || tokenKey:lower ~ 'a'").length,
		() => $app.findRecordsByFilter("users", "@collection.users.password ~ 'a'").length,
		() => $app.findRecordsByFilter("items", "@collection.users:x.tokenKey ?~ 'a'").length + 1,
		() => $app.findRecordsByFilter("users", "id = {:a}", "", 1, 0, { a: "{:b}", b: "\" || tokenKey ~ \"a" }).length || "",
		() => $app.findRecordsByFilter("users", "strftime('%s', tokenKey) = ''").length,
		() => $app.findRecordsByFilter("users", "geoDistance(1, 1, 1, tokenKey) = 1").length + 1,
		() => $app.findRecordsByFilter("users", "id != ''", "tokenKey").length,
		() => $app.findRecordsByFilter("users", "id != ''", "-created,-password").length,
		() => $app.findFirstRecordByData("users", "tokenKey", "x"),
		() => $app.findFirstRecordByFilter("users", "tokenKey != ''"),
		() => $app.canAccessRecord($app.findFirstRecordByFilter("users", "id != ''"), e.requestInfo(), "tokenKey ~ 'a'") + "x",
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
