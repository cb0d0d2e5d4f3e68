// why: what is behind a façade, encoded or printed
// expect: 200 ^contained$
routerAdd("GET", "/attack", (e) => {
	const odd = { app: $app, e, request: e.request, response: e.response, info: e.requestInfo(), query: $app.recordQuery("users"), db: $app.db(), exp: $dbx.exp("1=1"),
		mid: $apis.requireAuth(), settings: $app.settings(), mail: $app.newMailClient(), users: $app.findCollectionByNameOrId("users"), header: e.request.header, url: e.request.url, body: e.request.body };
	const form = new FormData();
	const record = new Record("items");
	record.withCustomData(true);
	const texts = [];
	try {
		texts.push(JSON.stringify(odd));
	} catch (err) {
		delete odd.settings;
		texts.push(JSON.stringify(odd));
	}
	for (const k of Object.keys(odd)) {
		form.append(k, odd[k]);
		record.set("x" + k, odd[k]);
		record.set("meta", { v: odd[k] });
		texts.push(toString(odd[k]), toString({ v: odd[k] }), toString(toBytes([odd[k]])), JSON.stringify(form.get(k)), record.getString("meta"));
		e.set(k, odd[k]);
		texts.push(JSON.stringify(e.get(k)));
		console.log(odd[k], { v: odd[k] });
		try {
			texts.push(JSON.stringify($security.parseUnverifiedJWT($security.createJWT({ v: odd[k] }, "k", 60))));
		} catch (err) {
			continue;
		}
	}
	texts.push(JSON.stringify(record));
	const found = texts.filter((t) => /0x[0-9a-f]{6}|secret|&\{|picoKey|__execStart|LogMeta/i.test(t));
	return e.string(200, found.length ? "LEAK " + found[0].slice(0, 300) : "contained");
});
