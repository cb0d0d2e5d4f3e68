// why: e.next() after the handler has returned
// expect: 200 ^contained$
let kept;

routerUse((e) => {
	kept = e;
	e.next();
}, (e) => {
	Promise.resolve().then(() => kept.next());
	return e.string(200, "contained");
});

routerAdd("GET", "/attack", (e) => e.string(200, "LEAK"));
