// why: an app of a transaction after its end
// expect: 200 ^contained$
routerAdd("GET", "/attack", (e) => {
	let kept;
	$app.runInTransaction((tx) => {
		kept = tx;
	});
	const seen = [];
	const attempts = [
		() => kept.findRecordsByFilter("items", "id != ''").length + 1,
		() => kept.db().newQuery("select 1").row()[0],
		() => kept.save(new Record("items")),
	];
	for (const attempt of attempts) {
		try {
			const got = attempt();
			if (got !== undefined && got !== null && got !== "") seen.push(String(attempt) + " -> " + String(got).slice(0, 60));
		} catch (err) {
			// contained
		}
	}
	return e.string(200, seen.length ? "LEAK " + seen.join("; ") : "contained");
});
