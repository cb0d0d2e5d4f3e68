// Package routertest lists the routes of a PocketBase router for tests that
// hold a table or a document against them. It is for tests only.
//
//	patterns := routertest.Patterns(r) // "GET /api/collections/{collection}/records", …
package routertest

import (
	"reflect"

	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/router"
)

// Patterns returns the pattern of every route of r. The router exports none of
// them, so they are read by reflection.
func Patterns(r *router.Router[*core.RequestEvent]) []string {
	return patterns(reflect.ValueOf(r.RouterGroup), "")
}

func patterns(group reflect.Value, prefix string) (found []string) {
	group = reflect.Indirect(group)
	prefix += group.FieldByName("Prefix").String()
	children := group.FieldByName("children")
	for i := range children.Len() {
		child := reflect.Indirect(children.Index(i).Elem())
		if child.FieldByName("children").IsValid() {
			found = append(found, patterns(child, prefix)...)
			continue
		}
		found = append(found, child.FieldByName("Method").String()+" "+prefix+child.FieldByName("Path").String())
	}
	return found
}
