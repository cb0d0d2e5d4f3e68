// why: the same in a record, which is encoded after the call
// expect: (400|500|504) 
// alone: it measures memory
routerAdd("GET", "/attack", (e) => {
	const r = new Record("items");
	const s = "x".repeat(8000000);
	r.withCustomData(true);
	for (let i = 0; i < 1000; i++) r.set("f" + i, s);
	return e.json(200, r);
});
