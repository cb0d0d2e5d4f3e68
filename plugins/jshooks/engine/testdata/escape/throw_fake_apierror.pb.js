// why: an object that looks like an API error
// expect: 400 Something went wrong
routerAdd("GET", "/attack", (e) => {
	throw { status: 418, message: "teapot", data: {}, rawData: 1 };
});
