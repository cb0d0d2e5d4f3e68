// why: line breaks in headers
// expect: 200 ^contained$
routerAdd("GET", "/attack", (e) => {
	e.response.header().set("X-Test", "a\r\nX-Injected: b");
	return e.string(200, "contained");
});
