// why: a transaction that swallows its error
// expect: (400|500|504)|200 
routerAdd("GET", "/attack", (e) => {
	for (;;) {
		try {
			$app.runInTransaction(() => {
				throw 1;
			});
		} catch (err) {
			continue;
		}
	}
});
