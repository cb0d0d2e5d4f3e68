// why: JSON that is nested too deeply to parse, print and copy
// expect: 200 ^contained$
routerAdd("GET", "/attack", (e) => {
	const deep = (n) => {
		let x = [];
		for (let i = 0; i < n; i++) x = [x];
		return x;
	};
	const x = deep(50000);
	for (const attempt of [() => JSON.parse("[".repeat(5000000)), () => JSON.stringify(x), () => String(x), () => x.flat(Infinity), () => e.json(200, x), () => console.log(x),
		() => $app.findRecordsByFilter("items", "id = {:x}", "", 1, 0, { x: x }), () => new BadRequestError("x", x), () => $security.createJWT({ x: x }, "k", 1), () => e.set("x", x)]) {
		try {
			attempt();
		} catch (err) {
			continue;
		}
	}
	return e.string(200, "contained");
});
