// why: values that hold themselves
// expect: 200 ^contained$
routerAdd("GET", "/attack", (e) => {
	const o = {};
	o.self = o;
	const list = [o];
	list.push(list);
	let shared = 1;
	for (let i = 0; i < 30; i++) shared = [shared, shared];
	for (const attempt of [() => JSON.stringify(o), () => JSON.stringify(list), () => e.json(200, o), () => e.json(200, list), () => e.json(200, shared), () => $security.createJWT(o, "k", 1), () => new Record("items", { meta: o }), () => e.set("o", o)]) {
		try {
			attempt();
			return e.string(200, "LEAK");
		} catch (err) {
			continue;
		}
	}
	return e.string(200, "contained");
});
