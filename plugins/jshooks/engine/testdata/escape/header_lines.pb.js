// why: line breaks wherever a header is made
// expect: 200 ^contained$
routerAdd("GET", "/attack", (e) => {
	const seen = [];
	const attempts = [
		() => e.response.header().set("X-A", "a\r\nX-B: c"),
		() => e.response.header().add("X-A\nX-B", "c"),
		() => e.redirect(302, "/x\r\nSet-Cookie: a=b") || "sent",
		() => e.blob(200, "text/html\r\nX-B: c", "x") || "sent",
		() => new MailerMessage({ subject: "a\r\nBcc: a@example.com" }),
		() => new MailerMessage({ to: [{ address: "a@example.com\r\nBcc: b@example.com" }] }),
		() => new MailerMessage({ from: { address: "a@example.com", name: "x\nBcc: b@example.com" } }),
		() => new MailerMessage({ headers: { "X-A\r\nBcc": "b@example.com" } }),
		() => $http.send({ url: "http://endless.test/", headers: { "X-A": "a\r\nX-B: c" } }),
		() => $http.send({ url: "http://endless.test/\r\nX-B: c" }),
		() => (e.setCookie({ name: "a", value: "b\r\nX-B: c", path: "/\r\nX-B: c" }), /[\r\n]/.test(JSON.parse(JSON.stringify(e.response.header()))["Set-Cookie"]) || ""),
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
