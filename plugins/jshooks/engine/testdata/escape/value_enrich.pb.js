// why: the same for each record of a list
// expect: 200 ^contained$
onRecordEnrich((e) => {
	e.record.withCustomData(true);
	e.record.set("big", "x".repeat(1000000));
	e.next();
}, "items");

routerAdd("GET", "/attack", (e) => {
	for (let i = 0; i < 3; i++) $app.save(new Record("items", { title: "x" }));
	try {
		$apis.enrichRecords(e, $app.findAllRecords("items"));
	} catch (err) {
		return e.string(200, "contained");
	}
	return e.string(200, "LEAK");
});
