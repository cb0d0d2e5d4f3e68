// why: the database while a file loads
// expect: problem handlers only
$app.findRecordsByFilter("items", "");
