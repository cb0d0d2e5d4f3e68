// why: a flood of the log
// expect: (200|504)
routerAdd("GET", "/attack", (e) => {
	for (let i = 0; i < 100000; i++) console.log("x".repeat(100000));
	return e.string(200, "contained");
});
