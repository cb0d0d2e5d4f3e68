// why: hooks of V8 that see the callers
// expect: 200 ^contained$
routerAdd("GET", "/attack", (e) => {
	const found = [Error.captureStackTrace, (function f() { try { return f.caller; } catch (err) { return undefined; } })(), new Error("x").stack.includes("prelude") || undefined, new Error("x").stack.includes(".go") || undefined, (() => { try { null.x; } catch (err) { return /\.go|\/work|\/root|\/home/.test(err.stack) || undefined; } })()];
	try {
		Error.prepareStackTrace = (err, sites) => sites[0].getThis();
		found.push("set");
	} catch (err) {
		found.push(undefined);
	}
	return e.string(200, found.some((x) => x) ? "LEAK " + JSON.stringify(found) : "contained");
});
