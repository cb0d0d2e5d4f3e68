// why: a record that holds itself has no end
// expect: 200 ^contained$
routerAdd("GET", "/attack", (e) => {
	const r = new Record("items");
	const other = new Record("items");
	r.setExpand({ a: r, list: [r, other] });
	r.mergeExpand({ a: other });
	other.setExpand({ b: r });
	r.setExpand({ a: other });
	for (const attempt of [() => r.expandedOne("a").setExpand({ c: r }), () => r.expand().a.setExpand({ c: r }), () => r.expandedOne("a").mergeExpand({ c: r }), () => { const w = new Record("items"); for (let i = 0; i < 100; i++) w.setExpand({ a: w, b: w }); }]) {
		try {
			attempt();
			return e.string(200, "LEAK");
		} catch (err) {
			continue;
		}
	}
	r.set("meta", r);
	r.set("x", r);
	r.set("y", { z: [r] });
	r.withCustomData(true);
	return e.string(200, JSON.stringify(r).length < 1000000 ? "contained" : "LEAK");
});
