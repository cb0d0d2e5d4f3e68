// Package templates holds the starter apps that picobase init copies.
//
// Each folder is a whole project: it can be worked on where it is. What is not in
// a list below is not in the program, so that node_modules and builds never are.
//
//	files, ok := templates.Open("react")
package templates

import (
	"embed"
	"io/fs"
	"slices"
)

//go:embed next/.env.example next/.gitignore next/README.md next/package.json next/tsconfig.json
//go:embed all:next/src next/pb_migrations
//go:embed react/.env.example react/.gitignore react/README.md react/package.json react/tsconfig.json
//go:embed all:react/src react/pb_migrations react/index.html react/vite.config.ts
//go:embed vue/.env.example vue/.gitignore vue/README.md vue/package.json vue/tsconfig.json
//go:embed all:vue/src vue/pb_migrations vue/index.html vue/vite.config.ts
//go:embed svelte/.env.example svelte/.gitignore svelte/README.md svelte/package.json svelte/tsconfig.json
//go:embed all:svelte/src svelte/pb_migrations svelte/svelte.config.js svelte/vite.config.ts
var files embed.FS

// Names returns the names of the templates.
func Names() []string { return []string{"next", "react", "vue", "svelte"} }

// Open returns the files of a template, and whether there is one of that name.
func Open(name string) (fs.FS, bool) {
	if !slices.Contains(Names(), name) {
		return nil, false
	}
	template, err := fs.Sub(files, name)
	return template, err == nil
}
