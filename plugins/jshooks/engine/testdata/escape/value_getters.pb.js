// why: getters that answer, save, loop or throw while Go reads
// expect: (400|500|504) 
routerAdd("GET", "/attack", (e) => {
	let runs = 0;
	const o = {
		get a() {
			$app.save(new Record("items", { title: String(runs++) }));
			return 1;
		},
		toString() {
			return o.a + JSON.stringify(o);
		},
		get z() {
			for (;;) e.json(200, o);
		},
	};
	e.json(200, o);
	return e.string(200, "LEAK");
});
