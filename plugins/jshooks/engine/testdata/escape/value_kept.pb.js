// why: what is kept for a request or a connection
// expect: 200 ^contained$
routerAdd("GET", "/attack", (e) => {
	try {
		for (let i = 0; i < 100; i++) e.set("k" + i, "x".repeat(100000));
	} catch (err) {
		return e.string(200, e.get("k0") && !e.get("k50") ? "contained" : "LEAK");
	}
	return e.string(200, "LEAK");
});
