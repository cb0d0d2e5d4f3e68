// why: the façades that all calls share can't be frozen, but get their prototypes back
// expect: 200 ^contained$
routerAdd("GET", "/attack", (e) => {
	if ($app.owned || typeof $app.save !== "function") return e.string(200, "LEAK from an earlier call");
	try {
		$app.__proto__ = { owned: 1 };
	} catch (err) {
		// refused
	}
	try {
		Object.setPrototypeOf($app, { owned: 2 });
		return e.string(200, "LEAK");
	} catch (err) {
		return e.string(200, "contained");
	}
});
