// why: catching what says that the time is over
// expect: (400|500|504) 
routerAdd("GET", "/attack", (e) => {
	for (;;) {
		try {
			sleep(100000);
		} catch (err) {
			continue;
		}
	}
});
