// why: a getter that answers while the answer is read
// expect: (200|400) ^[^L]*$
routerAdd("GET", "/attack", (e) => {
	e.json(200, { get a() { e.json(200, { b: 1 }); return "LEAK"; } });
});
