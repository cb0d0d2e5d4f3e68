// why: expressions in each other
// expect: (400|500|504) 
routerAdd("GET", "/attack", (e) => {
	let x = $dbx.exp("1=1");
	for (let i = 0; i < 100000; i++) x = $dbx.not(x);
	$app.countRecords("items", x);
	return e.string(200, "LEAK");
});
