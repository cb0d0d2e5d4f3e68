// why: a transaction that never ends
// expect: 504 
routerAdd("GET", "/attack", (e) => {
	$app.runInTransaction(() => {
		for (;;) {}
	});
});
