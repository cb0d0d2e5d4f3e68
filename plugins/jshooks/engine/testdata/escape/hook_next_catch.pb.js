// why: catching what e.next() throws, for ever
// expect: (400|500|504) 
onRecordCreate((e) => {
	for (;;) {
		try {
			e.next();
		} catch (err) {
			continue;
		}
	}
}, "items");

routerAdd("GET", "/attack", (e) => {
	try {
		$app.save(new Record("items", { title: "a" }));
	} catch (err) {
		for (;;) {}
	}
});
