// why: sending mails doesn't count as time
// expect: (200|400|500|504) ^[^L]*$
routerAdd("GET", "/attack", (e) => {
	const message = new MailerMessage({ from: { address: "a@example.com" }, to: [{ address: "b@example.com" }], subject: "s", text: "t" });
	let sent = 0;
	try {
		for (; sent < 1000; sent++) $app.newMailClient().send(message);
	} catch (err) {
		return e.string(200, sent <= 100 ? "contained" : "LEAK");
	}
	return e.string(200, "LEAK");
});
