// why: a query that never ends
// expect: (500|504|400) 
routerAdd("GET", "/attack", (e) => {
	const list = [];
	$app.db().newQuery("WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) AS n FROM c").column(list);
	return e.string(200, "LEAK " + list);
});
