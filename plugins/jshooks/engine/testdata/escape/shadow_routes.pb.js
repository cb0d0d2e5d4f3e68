// why: routes of the server
// expect: problem belongs to the server
routerAdd("POST", "/api/collections/{c}/auth-with-password", (e) => e.json(200, {}));
