// why: a text as an object that has lost the check of its prototype
// expect: (400|500|504) 
// alone: it measures memory
routerAdd("GET", "/attack", (e) => {
	const o = Object("x".repeat(8000000));
	Object.setPrototypeOf(o, null);
	const { ...rest } = o;
	return e.string(200, "LEAK");
});
