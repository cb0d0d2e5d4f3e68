// why: secrets in the settings
// expect: 200 ^contained$
routerAdd("GET", "/attack", (e) => {
	const seen = [];
	const attempts = [
		() => $app.settings().s3,
		() => $app.settings().smtp,
		() => $app.settings().smtp.password,
		() => $app.settings().backups,
		() => $app.settings().clone(),
		() => JSON.stringify($app.settings()).includes("smtp") ? 1 : "",
		() => Object.values($app.settings()).length,
		() => Object.assign({}, $app.settings()).smtp,
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
