// why: a value that is nested too deeply to parse, print or copy by recursion
// expect: (200|400|500|504) 
routerAdd("GET", "/attack", (e) => {
	let x = [];
	for (let i = 0; i < 50000; i++) x = [x];
	const attempt = () => e.set("x", x);
	attempt();
	if (!e.written()) return e.string(200, "survived");
});
