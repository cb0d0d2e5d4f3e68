// why: files of the server
// expect: 200 ^contained$
routerAdd("GET", "/attack", (e) => {
	const seen = [];
	const attempts = [
		() => $filesystem.local("/etc"),
		() => $filesystem.fileFromPath("/etc/hostname"),
		() => $filesystem.fileFromURL("file:///etc/hostname"),
		() => $filepath.glob("/etc/*"),
		() => $filepath.walk("/", () => {}),
		() => $apis.static("/etc", false),
		() => e.fileFS("/etc", "hostname"),
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
