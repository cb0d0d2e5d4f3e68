// Package engine runs JavaScript hooks that other people wrote, inside the
// tenant's process, on goja.
//
// It speaks PocketBase's *.pb.js dialect: on* hooks, routerAdd, cronAdd, $app
// and the rest, through façades made for this purpose. A script never holds a
// Go object, so there is nothing to climb up from: no file, process,
// environment, settings, token secret or system table is within reach. What is
// refused exists as a stub that throws and says what to use instead.
//
// It stores, uploads and lists nothing: package jshooks does.
//
//	e, err := engine.New(engine.Config{App: app})
//	generation, problems := e.Compile(ctx, "v1", engine.Bundle{"main.pb.js": source})
//	e.Activate(generation)
//
// # A call
//
// Every call runs its file from the top in a scope of its own, then the
// handler. So handlers may use the constants and functions of their file, which
// PocketBase does not allow, and nothing that a call changes is there in the
// next one. The built-in objects are frozen. Keep the top of a file cheap, and
// state in the database.
//
// A call has a budget of time. The clock stands still inside e.next(). Calls
// that start inside another one (a record hook because of $app.save) run in
// the same VM, so that they can't wait for each other.
//
// # What leaves the VM
//
// Data. What a script hands to Go is copied as maps, lists, texts and numbers, and what is behind a façade becomes
// what it shows as JSON: see toGo. Only records, files and errors stay what they are, where they go into records
// (toField), and those places neither encode nor print them.
//
// # What is bounded
//
// Time, by an interrupt between two instructions. Built-in functions that loop
// without one are either written in JavaScript here or refuse operands that
// are too large; three instructions of goja that do are rewritten (rewrite). Depth, of JavaScript and of native calls. Memory, by a watchdog
// that stops the call that has run longest when the heap has grown too much, and by what large allocations ask it. The number of VMs, log
// lines, responses in both directions, mails, what is put into records and kept for requests, regular expressions.
//
// # What stays in a VM
//
// Nothing that a script can reach is writable beyond its call. goja keeps three things nevertheless, which are refused or cost the
// VM: what is to clean up after weak maps with built-in keys, registered symbols, private members that a class gives to an object that is not its own.
//
// # What is not bounded
//
// An interrupt waits for the native operation under way: a comparison of two long strings, one call of bcrypt. The watchdog samples, so
// the heap can pass the limit by what one such operation allocates, and it can't tell whose memory it is: it may stop another
// slow call before the guilty one. SQLite's own memory isn't in the Go heap. A script can use a
// core for its whole budget, on every VM at once. Somebody who may upload hooks
// may read and write the project's records, and send them elsewhere.
// The outer wall is the container with its limits, not this package.
package engine
