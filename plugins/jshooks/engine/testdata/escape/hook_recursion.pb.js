// why: hook → save → hook, by way of other hooks
// expect: (400|500|504) 
onRecordAfterCreateSuccess((e) => {
	e.next();
	$app.save(new Record("items", { title: "after" }));
}, "items");
onRecordValidate((e) => {
	$app.countRecords("items");
	e.next();
}, "items");

routerAdd("GET", "/attack", (e) => {
	$app.save(new Record("items", { title: "a" }));
	return e.string(200, "LEAK");
});
