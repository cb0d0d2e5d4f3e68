// why: the app outside of a transaction waits for it for ever
// expect: 200 ^contained$
onRecordEnrich((e) => {
	e.app.save(new Record("items", { title: "enriched" }));
	e.next();
}, "items");

routerAdd("GET", "/attack", (e) => {
	const outer = e.app;
	$app.runInTransaction((tx) => {
		outer.save(new Record("items", { title: "outer" }));
		e.app.save(new Record("items", { title: "event" }));
		$app.save(new Record("items", { title: "global" }));
		tx.save(new Record("items", { title: "inner" }));
		tx.runInTransaction(() => outer.save(new Record("items", { title: "nested" })));
		$apis.enrichRecords(e, tx.findRecordsByFilter("items", "id != ''", "", 5, 0)); // each is enriched inside of the one before
	});
	return e.string(200, "contained");
});
