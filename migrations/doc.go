// Package migrations creates the system collections and tables of a tenant.
//
// Importing it is enough: like PocketBase's own, the migrations register
// themselves and run at the next bootstrap. They are system migrations, because
// the command line needs the tables before a server ever ran on the folder.
//
//	import _ "github.com/picobase/picobase/migrations"
package migrations
