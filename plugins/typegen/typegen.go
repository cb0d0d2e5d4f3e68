// Package typegen writes a project's collections as TypeScript, for @picobase/client.
//
// It only reads the schema. What is hidden from clients is not in the types.
//
//	p, err := typegen.Register(app, typegen.Config{})
//	p.Routes(router) // GET /api/v1/types.ts
package typegen

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"

	"github.com/picobase/picobase/internal/httpapi"
	"github.com/picobase/picobase/internal/scope"
	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/router"
)

// Path is where the types are served.
const Path = httpapi.PathPrefix + "/types.ts"

// Config configures the plugin.
type Config struct{}

// Plugin is the registered plugin.
type Plugin struct{}

// Register makes the plugin.
func Register(core.App, Config) (*Plugin, error) { return &Plugin{}, nil }

// Routes binds the route. The answer has an ETag, so that whoever watches the schema
// asks for nothing twice.
func (p *Plugin) Routes(r *router.Router[*core.RequestEvent]) {
	// Whoever watches asks twice a second.
	r.GET(Path, p.get).BindFunc(allowed).Bind(apis.SkipSuccessActivityLog())
}

// allowed lets pass who may read the schema, and who may read all records: their shape
// tells no more, and a project's first key is enough for its first types.
func allowed(e *core.RequestEvent) error {
	caller := httpapi.CallerOf(e)
	if caller.Allows(scope.RecordsRead) {
		return e.Next()
	}
	if err := httpapi.Check(caller, scope.SchemaRead); err != nil {
		return httpapi.Error(err)
	}
	return e.Next()
}

func (p *Plugin) get(e *core.RequestEvent) error {
	collections, err := e.App.FindAllCollections()
	if err != nil {
		return httpapi.Failure(err)
	}
	var out bytes.Buffer
	Write(&out, collections)
	sum := sha256.Sum256(out.Bytes())
	tag := `"` + hex.EncodeToString(sum[:8]) + `"`
	header := e.Response.Header()
	header.Set("ETag", tag)
	header.Set("Cache-Control", "no-cache")
	if e.Request.Header.Get("If-None-Match") == tag {
		return e.NoContent(http.StatusNotModified)
	}
	return e.Blob(http.StatusOK, "text/plain; charset=utf-8", out.Bytes())
}
