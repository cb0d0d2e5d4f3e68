// why: statements that leave the database or change it
// expect: 200 ^contained$
routerAdd("GET", "/attack", (e) => {
	const seen = [];
	const attempts = [
		() => $app.db().newQuery("ATTACH DATABASE '/tmp/x.db' AS x").row(),
		() => $app.db().newQuery("attach '/etc/passwd' as p").row(),
		() => $app.db().newQuery("DETACH DATABASE main").row(),
		() => $app.db().newQuery("VACUUM INTO '/tmp/copy.db'").row(),
		() => $app.db().newQuery("VACUUM").row(),
		() => $app.db().newQuery("PRAGMA journal_mode=DELETE").row(),
		() => $app.db().newQuery("PRAGMA writable_schema=1").row(),
		() => $app.db().newQuery("SELECT load_extension('/tmp/x.so')").row(),
		() => $app.db().newQuery("SELECT readfile('/etc/hostname')").row(),
		() => $app.db().newQuery("SELECT writefile('/tmp/x','y')").row(),
		() => $app.db().newQuery("SELECT 1; ATTACH DATABASE '/tmp/x.db' AS x").row(),
		() => $app.db().newQuery("SELECT 1; SELECT 2").row(),
		() => $app.db().newQuery("DELETE FROM users").row(),
		() => $app.db().newQuery("UPDATE users SET name='x'").row(),
		() => $app.db().newQuery("INSERT INTO users (id) VALUES ('x')").row(),
		() => $app.db().newQuery("REPLACE INTO users (id) VALUES ('x')").row(),
		() => $app.db().newQuery("DROP TABLE users").row(),
		() => $app.db().newQuery("WITH x AS (SELECT 1) DELETE FROM users").row(),
		() => $app.db().newQuery("CREATE TABLE x (a)").row(),
		() => $app.db().newQuery("BEGIN").row(),
		() => $app.db().newQuery("EXPLAIN SELECT 1").row(),
		() => $app.db().newQuery("/* SELECT */ PRAGMA user_version").row(),
		() => $app.db().newQuery("SELECT zeroblob(1000000000)").row(),
		() => $app.db().newQuery("SELECT randomblob(1000000000)").row(),
		() => $app.db().newQuery("SELECT printf('%1000000000d', 1)").row(),
		() => $app.db().newQuery("").row(),
		() => $app.db().newQuery("DELETE FROM users").execute(),
		() => $app.db().newQuery("SELECT 1").execute(),
		() => $app.db().insert("users", {}),
		() => $app.db().delete("users"),
		() => $app.db().model({}),
		() => $app.auxDB(),
		() => $app.nonconcurrentDB(),
		() => $app.vacuum(),
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
