// why: a token for anybody
// expect: 200 ^contained$
routerAdd("GET", "/attack", (e) => {
	const user = $app.findFirstRecordByFilter("users", "id != ''");
	const seen = [];
	const attempts = [
		() => user.newAuthToken(),
		() => user.newStaticAuthToken(1000),
		() => user.newPasswordResetToken(),
		() => user.newFileToken(),
		() => user.tokenKey(),
		() => user.get("tokenKey"),
		() => user.getString("tokenKey"),
		() => user.get("TOKENKEY"),
		() => user.getString("password:hash"),
		() => user.get("password:hash"),
		() => user.fieldsData().tokenKey,
		() => user.fieldsData().password,
		() => user.getRaw("tokenKey"),
		() => (user.unhide("tokenKey"), user.publicExport().tokenKey),
		() => (user.unhide("password"), JSON.parse(JSON.stringify(user)).password),
		() => user.original().tokenKey(),
		() => user.clone().getString("tokenKey"),
		() => Object.values(user.fieldsData()).find((v) => typeof v === "string" && v.startsWith("$2a$")),
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
