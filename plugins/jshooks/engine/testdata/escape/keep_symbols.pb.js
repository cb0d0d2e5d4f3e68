// why: a registry of symbols that the VM keeps
// expect: 200 ^contained$
routerAdd("GET", "/attack", (e) => {
	for (let i = 0; i < 1000; i++) Symbol.for("k" + i);
	try {
		Symbol.for("x".repeat(1000000));
	} catch (err) {
		return e.string(200, Symbol.for("a") === Symbol.for("a") && Symbol.keyFor(Symbol.for("a")) === "a" ? "contained" : "LEAK");
	}
	return e.string(200, "LEAK");
});
