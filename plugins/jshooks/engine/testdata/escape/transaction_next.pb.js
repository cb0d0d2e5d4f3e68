// why: e.next() inside of a transaction of the hook's own
// expect: 200 ^contained$
onRecordCreate((e) => {
	e.app.runInTransaction(() => e.next());
}, "items");
routerUse((e) => {
	let answer;
	$app.runInTransaction(() => {
		answer = e.next();
	});
	return answer;
});

routerAdd("GET", "/attack", (e) => {
	$app.runInTransaction(() => {
		$app.save(new Record("items", { title: "x" }));
	});
	return e.string(200, "contained");
});
