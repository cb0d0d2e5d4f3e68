// why: addresses of the inner network, however they are written
// expect: 200 ^contained$
routerAdd("GET", "/attack", (e) => {
	const seen = [];
	const attempts = [
		() => $http.send({ url: "http://127.0.0.1:1/" }),
		() => $http.send({ url: "http://localhost:1/" }),
		() => $http.send({ url: "http://2130706433:1/" }),
		() => $http.send({ url: "http://0x7f000001:1/" }),
		() => $http.send({ url: "http://0177.0.0.1:1/" }),
		() => $http.send({ url: "http://127.1:1/" }),
		() => $http.send({ url: "http://[::1]:1/" }),
		() => $http.send({ url: "http://[::ffff:127.0.0.1]:1/" }),
		() => $http.send({ url: "http://[::ffff:7f00:1]:1/" }),
		() => $http.send({ url: "http://[64:ff9b::7f00:1]:1/" }),
		() => $http.send({ url: "http://0.0.0.0:1/" }),
		() => $http.send({ url: "http://10.0.0.1:1/" }),
		() => $http.send({ url: "http://169.254.169.254/latest/meta-data/" }),
		() => $http.send({ url: "http://[fd00:ec2::254]/" }),
		() => $http.send({ url: "http://example.com@127.0.0.1:1/" }),
		() => $http.send({ url: "http://127.0.0.1:1#@example.com/" }),
		() => $http.send({ url: "http://redirect.test/" }),
		() => $http.send({ url: "http://localhost.:1/" }),
		() => $http.send({ url: "file:///etc/passwd" }),
		() => $http.send({ url: "gopher://127.0.0.1:1/" }),
		() => $http.send({ url: "unix:///var/run/docker.sock" }),
		() => $http.send({ url: "//127.0.0.1:1/" }),
		() => $http.send({ url: "http://127.0.0.1:1/", headers: { Host: "example.com" } }),
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
