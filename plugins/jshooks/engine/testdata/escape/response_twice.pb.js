// why: a response without an end, in pieces
// expect: 200 ^x{1000}$
routerAdd("GET", "/attack", (e) => {
	e.string(200, "x".repeat(1000));
	for (const again of [() => e.string(200, "LEAK"), () => e.json(200, "LEAK"), () => e.html(200, "LEAK"), () => e.blob(200, "a/b", "LEAK"), () => e.redirect(302, "LEAK")]) {
		try {
			again();
		} catch (err) {
			continue;
		}
	}
});
