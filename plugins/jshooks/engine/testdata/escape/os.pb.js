// why: processes and environment
// expect: 200 ^contained$
routerAdd("GET", "/attack", (e) => {
	const seen = [];
	const attempts = [
		() => $os.getenv("PATH"),
		() => $os.exec("id"),
		() => $os.cmd("id").output(),
		() => $os.readFile("/etc/hostname"),
		() => $os["args"],
		() => process.env,
		() => process.exit(1),
		() => new Command({ use: "x" }),
		() => Object.keys($os).length || "",
		() => Reflect.get($os, "args"),
		() => JSON.stringify($os) === "{}" ? "" : 1,
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
