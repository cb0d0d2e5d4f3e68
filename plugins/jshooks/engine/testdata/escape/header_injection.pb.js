// why: line breaks in headers
// expect: 400 
routerAdd("GET", "/attack", (e) => {
	e.response.header().set("X-Test", "a\r\nX-Injected: b");
	return e.string(200, "contained");
});
