// why: what looks like a secret and is none
// expect: 200 ^contained$
routerAdd("GET", "/attack", (e) => {
	$app.findRecordsByFilter("users", "name = 'password' || name ~ 'tokenKey' // tokenKey");
	$app.findRecordsByFilter("users", "email = {:e}", "-created,name", 1, 0, { e: "test@example.com" });
	$app.db().newQuery("SELECT count(*), 2 * 3, max(id) FROM users").row();
	$app.db().newQuery("SELECT id, email FROM users WHERE name != 'password'").row();
	$app.countRecords("users", $dbx.exp("length(email) * 2 > {:n}", { n: 1 }));
	return e.string(200, "contained");
});
