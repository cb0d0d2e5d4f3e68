// why: a hook that calls itself
// expect: (400|500|504) 
onRecordCreate((e) => {
	const other = new Record("items", { title: "again" });
	$app.save(other);
	e.next();
}, "items");

routerAdd("GET", "/attack", (e) => {
	$app.save(new Record("items", { title: "first" }));
	return e.string(200, "LEAK");
});
