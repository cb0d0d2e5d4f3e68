package platform

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/picobase/picobase/internal/routertest"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/router"
)

// TestTheAPIIsDescribed holds openapi.json against the routes, both ways.
func TestTheAPIIsDescribed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	r := router.NewRouter(func(http.ResponseWriter, *http.Request) (*core.RequestEvent, router.EventCleanupFunc) {
		return nil, nil
	})
	f.bindOpen(r)
	f.bindAPI(r)
	routes := map[string]bool{}
	for _, pattern := range routertest.Patterns(r) {
		routes[pattern] = true
	}
	var document struct {
		Paths map[string]map[string]any `json:"paths"`
	}
	if err := json.Unmarshal(f.openapi, &document); err != nil {
		t.Fatal(err)
	}
	described := map[string]bool{}
	for path, methods := range document.Paths {
		for method := range methods {
			described[strings.ToUpper(method)+" "+path] = true
		}
	}
	if len(routes) < 40 {
		t.Fatalf("only %d routes", len(routes))
	}
	for route := range routes {
		if !described[route] {
			t.Errorf("%s is not described", route)
		}
	}
	for route := range described {
		if !routes[route] {
			t.Errorf("%s is described and does not exist", route)
		}
	}
}
