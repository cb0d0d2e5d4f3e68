// why: façades as the data of an error
// expect: 400 "app":\{\},"e":\{\},"q":\{\},"r":\{\}
routerAdd("GET", "/attack", (e) => {
	throw new BadRequestError("x", { app: $app, e, r: e.request, q: e.requestInfo(), u: $app.findCollectionByNameOrId("users") });
});
