// why: a catch-all over the server's routes
// expect: 200 ^"?contained|healthy
routerAdd("GET", "/{path...}", (e) => e.string(200, "contained"));
