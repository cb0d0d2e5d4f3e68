// why: the hook of V8 for stack traces
// expect: 400 
routerAdd("GET", "/attack", (e) => {
	try {
		Error.prepareStackTrace = () => $app;
	} catch (err) {
		// frozen
	}
	throw new Error("x");
});
