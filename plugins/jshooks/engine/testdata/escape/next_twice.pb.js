// why: the chain runs once
// expect: 200 ^contained$
routerUse((e) => {
	e.next();
	e.next();
});

routerAdd("GET", "/attack", (e) => {
	const before = Number(e.get("runs") || 0);
	e.set("runs", before + 1);
	if (before > 0) console.error("LEAK");
	return e.string(200, "contained");
});
