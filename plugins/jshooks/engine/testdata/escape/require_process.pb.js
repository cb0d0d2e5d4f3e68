// why: the process module of Node holds the environment
// expect: 200 ^contained$
routerAdd("GET", "/attack", (e) => {
	const seen = [];
	const attempts = [
		() => require("process").env,
		() => require("node:process").env,
		() => require("fs").readFileSync("/etc/hostname"),
		() => require("child_process"),
		() => require("/etc/hostname"),
		() => require("../../../../etc/hostname"),
		() => require("./../../../proc/self/environ"),
		() => require("os"),
		() => require("buffer"),
		() => require("console"),
		() => require("util"),
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
