// why: the app behind the façade
// expect: 200 ^contained$
routerAdd("GET", "/attack", (e) => {
	const seen = [];
	const attempts = [
		() => e.app.App,
		() => e.app.dao,
		() => e.app.dao(),
		() => e.app.unsafeWithoutHooks(),
		() => e.app.store(),
		() => e.app.restart(),
		() => e.app.dataDir(),
		() => e.app.encryptionEnv(),
		() => e.app.cron(),
		() => e.app.createBackup(null, "x"),
		() => e.app.newFilesystem(),
		() => e.app.auxDB(),
		() => e.app.logQuery(),
		() => e.app.onServe(),
		() => e.app.subscriptionsBroker(),
		() => e.app.importCollections([], true),
		() => e.App,
		() => e.Next,
		() => e.request.ctx,
		() => e.request.context(),
		() => e.request.tls,
		() => e.request.body.close,
		() => e.response.writer,
		() => e.record,
		() => e.event,
		() => e.requestEvent,
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
