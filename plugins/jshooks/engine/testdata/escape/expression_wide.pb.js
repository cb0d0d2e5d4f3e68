// why: expressions that double
// expect: (400|500|504) 
routerAdd("GET", "/attack", (e) => {
	let x = $dbx.exp("1=1");
	for (let i = 0; i < 40; i++) x = $dbx.and(x, x);
	$app.countRecords("items", x);
	return e.string(200, "LEAK");
});
