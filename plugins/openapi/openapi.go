// Package openapi serves the description of PicoBase's API.
//
// The document is written by hand in openapi.json; a test of package tenant
// holds it against the routes that exist, both ways.
//
//	p, err := openapi.Register(app, openapi.Config{Version: "1.2.3"})
//	p.Routes(router) // GET /api/v1/openapi.json
package openapi

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/picobase/picobase/internal/httpapi"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/router"
)

// Path is where the document is served.
const Path = httpapi.PathPrefix + "/openapi.json"

//go:embed openapi.json
var source []byte

// Config configures the plugin.
type Config struct {
	// Version of the binary, shown as the version of the API.
	Version string
}

// Plugin is the registered plugin.
type Plugin struct{ document []byte }

// Register prepares the document.
func Register(_ core.App, cfg Config) (*Plugin, error) {
	var document map[string]any
	if err := json.Unmarshal(source, &document); err != nil {
		return nil, fmt.Errorf("openapi.json: %w", err)
	}
	document["info"].(map[string]any)["version"] = cfg.Version
	encoded, err := json.Marshal(document)
	return &Plugin{document: encoded}, err
}

// Routes binds the document's route: whoever passes the gate may read it.
func (p *Plugin) Routes(r *router.Router[*core.RequestEvent]) {
	r.GET(Path, func(e *core.RequestEvent) error {
		return e.Blob(http.StatusOK, "application/json", p.document)
	})
}
