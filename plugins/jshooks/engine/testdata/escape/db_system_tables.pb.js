// why: system tables through SQL
// expect: 200 ^contained$
routerAdd("GET", "/attack", (e) => {
	const model = new DynamicModel({ email: "", value: "", options: "", sql: "", name: "", tokenKey: "" });
	const seen = [];
	const attempts = [
		() => ($app.db().newQuery("SELECT email FROM _superusers").one(model), JSON.stringify(model)),
		() => ($app.db().newQuery("SELECT email FROM \"_superusers\"").one(model), JSON.stringify(model)),
		() => ($app.db().newQuery("SELECT email FROM [_superusers]").one(model), JSON.stringify(model)),
		() => ($app.db().newQuery("SELECT email FROM '_superusers'").one(model), JSON.stringify(model)),
		() => ($app.db().newQuery("SELECT email FROM `_superusers`").one(model), JSON.stringify(model)),
		() => ($app.db().newQuery("SELECT email FROM main._superusers").one(model), JSON.stringify(model)),
		() => ($app.db().newQuery("SELECT email FROM main.\"_superusers\"").one(model), JSON.stringify(model)),
		() => ($app.db().newQuery("select/**/email/**/from/**/_superusers").one(model), JSON.stringify(model)),
		() => ($app.db().newQuery("SELECT email FROM {{_superusers}}").one(model), JSON.stringify(model)),
		() => ($app.db().newQuery("SELECT email FROM [[_superusers]]").one(model), JSON.stringify(model)),
		() => ($app.db().newQuery("SELECT email FROM [[main._superusers]]").one(model), JSON.stringify(model)),
		() => ($app.db().newQuery("SELECT value FROM _params").one(model), JSON.stringify(model)),
		() => ($app.db().newQuery("SELECT options FROM _collections").one(model), JSON.stringify(model)),
		() => ($app.db().newQuery("WITH x AS (SELECT * FROM _superusers) SELECT email FROM x").one(model), JSON.stringify(model)),
		() => ($app.db().newQuery("SELECT (SELECT email FROM _superusers LIMIT 1) AS email").one(model), JSON.stringify(model)),
		() => ($app.db().newQuery("SELECT sql FROM sqlite_master").one(model), JSON.stringify(model)),
		() => ($app.db().newQuery("SELECT name FROM sqlite_schema").one(model), JSON.stringify(model)),
		() => ($app.db().newQuery("SELECT * FROM pragma_table_info('users')").one(model), JSON.stringify(model)),
		() => ($app.db().newQuery("SELECT tokenKey FROM users").one(model), JSON.stringify(model)),
		() => ($app.db().newQuery("SELECT [[tokenKey]] FROM users").one(model), JSON.stringify(model)),
		() => ($app.db().select("email").from("_superusers").one(model), model.email),
		() => ($app.db().select("email").from("users").where($dbx.exp("id in (select id from _superusers)")).one(model), model.email),
		() => ($app.db().select("(select email from _superusers) as email").from("users").one(model), model.email),
		() => ($app.db().select("email").from("users u, _superusers").one(model), model.email),
		() => $app.findAllRecords("users", $dbx.exp("(select 1 from _superusers)")).length,
		() => $app.countRecords("users", $dbx.exp("exists (select 1 from _superusers)")) || 1,
		() => $app.findAllRecords("users", $dbx.hashExp({ x: $dbx.exp("(select 1 from _superusers)") })).length,
		() => $app.recordQuery("users").andWhere($dbx.exp("1 in (select 1 from _superusers)")).all([]) || 1,
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
