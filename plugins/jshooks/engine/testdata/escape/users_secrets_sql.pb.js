// why: hashes and keys of tokens through SQL
// expect: 200 ^contained$
routerAdd("GET", "/attack", (e) => {
	const one = (sql) => JSON.stringify($app.db().newQuery(sql).row());
	const records = (query) => {
		const list = [];
		query.all(list);
		return list.length;
	};
	const seen = [];
	const attempts = [
		() => one("SELECT * FROM users"),
		() => one("SELECT u.* FROM users u"),
		() => one("SELECT DISTINCT * FROM users"),
		() => one("SELECT 1, * FROM users"),
		() => one("SELECT/**/*/**/FROM users"),
		() => one("WITH t(a, b, c, d, e, f, g, h, i, j, k, l, m, n) AS (SELECT * FROM users) SELECT * FROM t"),
		() => one("SELECT 1, 2, 3, 4 UNION ALL SELECT * FROM users"),
		() => one("SELECT * FROM clients"),
		() => one("SELECT * FROM \"users\""),
		() => one("SELECT * FROM 'users'"),
		() => one("SELECT * FROM main.users"),
		() => one("SELECT * FROM items, users"),
		() => one("SELECT password FROM users"),
		() => one("SELECT \"password\" FROM users"),
		() => one("SELECT [PassWord] FROM users"),
		() => one("SELECT tokenKey AS name FROM users"),
		() => one("SELECT users.tokenKey AS name FROM users"),
		() => one("SELECT json_group_array(tokenKey) FROM users"),
		() => one("SELECT [[users.password]] FROM users"),
		() => $app.db().select("*").from("users").row(),
		() => $app.db().select("users.*").from("users").row(),
		() => $app.db().select().from("users").row(),
		() => $app.db().select("id, (WITH t(a, b, c) AS (SELECT *").from("users) SELECT c FROM t) AS x FROM users").row(),
		() => $app.countRecords("users", $dbx.exp("password LIKE '$2a%'")),
		() => $app.countRecords("users", $dbx.hashExp({ tokenKey: "x" })) + 1,
		() => $app.countRecords("users", $dbx.like("password", "a")),
		() => $app.countRecords("items", $dbx.exp("exists (WITH t(a, b, c) AS (SELECT *"), $dbx.exp("1 FROM users) SELECT 1 FROM t)")),
		() => $app.countRecords("items", $dbx.exp("1 /*"), $dbx.exp("*/ FROM users")),
		() => $app.countRecords("items", $dbx.exp("1 --"), $dbx.exp("\n FROM users")),
		() => $app.findAllRecords("users", $dbx.exp("tokenKey > 'a'")).length,
		() => records($app.recordQuery("users").select("id", "tokenKey AS name")),
		() => records($app.recordQuery("users").orderBy("password")),
		() => records($app.recordQuery("users").from("(SELECT * FROM users) users")),
		() => records($app.recordQuery("items").from("(WITH t(id, title) AS (SELECT * FROM users) SELECT * FROM t) items")),
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
