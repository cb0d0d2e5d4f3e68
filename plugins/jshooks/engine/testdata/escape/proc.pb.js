// why: the environment as a file
// expect: 200 ^contained$
routerAdd("GET", "/attack", (e) => {
	const seen = [];
	const attempts = [
		() => require("/proc/self/environ"),
		() => require("file:///proc/self/environ"),
		() => require(__hooks + "/../../proc/self/environ"),
		() => $http.send({ url: "file:///proc/self/environ" }).raw,
		() => toString("/proc/self/environ") === "/proc/self/environ" ? "" : 1,
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
