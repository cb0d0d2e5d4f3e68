package audit

import (
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/picobase/picobase/internal/scope"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/router"
	"github.com/pocketbase/pocketbase/tools/types"
)

const (
	defaultPerPage = 50
	maxPerPage     = 500

	ndjson = "application/x-ndjson"

	// exportPatience is how long a client may take to read one batch.
	exportPatience = time.Minute
)

// bindAPI binds the trail's only route. There is none to write.
func (p *Plugin) bindAPI(r *router.Router[*core.RequestEvent]) {
	r.GET(httpapi.PathPrefix+"/audit", p.list).Bind(httpapi.Require(scope.Logs))
}

type list struct {
	Page       int    `json:"page"`
	PerPage    int    `json:"perPage"`
	TotalItems int    `json:"totalItems"`
	TotalPages int    `json:"totalPages"`
	Items      []item `json:"items"`
}

func (p *Plugin) list(e *core.RequestEvent) error {
	q, err := parseQuery(e.Request)
	if err != nil {
		return httpapi.Error(err)
	}
	if q.export {
		return p.export(e, q.filter)
	}
	rows, total, dbErr := p.page(q.filter, q.page, q.perPage)
	if dbErr != nil {
		return dbErr
	}
	result := list{
		Page:       q.page,
		PerPage:    q.perPage,
		TotalItems: total,
		TotalPages: (total + q.perPage - 1) / q.perPage,
		Items:      make([]item, len(rows)),
	}
	for i := range rows {
		result.Items[i] = rows[i].item()
	}
	return e.JSON(http.StatusOK, result)
}

// export streams all entries, one JSON object a line. When it breaks off, the
// last line is an error.
func (p *Plugin) export(e *core.RequestEvent, f filter) error {
	e.Response.Header().Set("Content-Type", ndjson)
	e.Response.WriteHeader(http.StatusOK)
	encoder := json.NewEncoder(e.Response)
	control := http.NewResponseController(e.Response)
	err := p.each(f, func(rows []row) error {
		// The server's own deadline is for the whole response. Not every
		// writer has one, a recorder in a test for example.
		_ = control.SetWriteDeadline(time.Now().Add(exportPatience))
		for i := range rows {
			if err := encoder.Encode(rows[i].item()); err != nil {
				return err
			}
		}
		return control.Flush()
	})
	if err != nil {
		_ = encoder.Encode(errExport.Body())
	}
	return err
}

var errExport = apierr.New(http.StatusInternalServerError, "export_interrupted", "The export broke off here; run it again.")

type query struct {
	filter
	page, perPage int
	export        bool
}

func parseQuery(r *http.Request) (query, *apierr.Error) {
	q := query{page: 1, perPage: defaultPerPage, export: accepts(r, ndjson)}
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return q, apierr.New(http.StatusBadRequest, "invalid_query", "The query of the URL is malformed.").WithCause(err)
	}
	for name := range values {
		if err := q.set(name, values.Get(name)); err != nil {
			return q, err
		}
	}
	return q, nil
}

func (q *query) set(name, value string) (err *apierr.Error) {
	switch name {
	case "actor":
		q.actor = value
	case "actorKind":
		q.actorKind = value
	case "action":
		q.action = value
	case "target":
		q.target = value
	case "since":
		q.since, err = parseTime(name, value)
	case "until":
		q.until, err = parseTime(name, value)
	case "page":
		q.page, err = parseNumber(name, value, 1_000_000)
	case "perPage":
		q.perPage, err = parseNumber(name, value, maxPerPage)
	case "format":
		switch value {
		case "json", "ndjson":
			q.export = value == "ndjson"
		default:
			err = apierr.Invalid(name, `must be "json" or "ndjson".`)
		}
	default:
		err = apierr.Invalid(name, "is not a known parameter; there are actor, actorKind, action, target, since, until, page, perPage and format.")
	}
	return err
}

func parseNumber(name, value string, most int) (int, *apierr.Error) {
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > most {
		return 0, apierr.Invalid(name, "must be a whole number from 1 to "+strconv.Itoa(most)+".")
	}
	return n, nil
}

// parseTime returns a time in the format of the table.
func parseTime(name, value string) (string, *apierr.Error) {
	for _, layout := range []string{time.RFC3339Nano, types.DefaultDateLayout, time.DateOnly} {
		if t, err := time.Parse(layout, value); err == nil {
			return t.UTC().Format(types.DefaultDateLayout), nil
		}
	}
	return "", apierr.Invalid(name, "must be a time such as 2026-01-31T12:00:00Z, or a date.")
}

func accepts(r *http.Request, mediaType string) bool {
	for _, accepted := range strings.Split(r.Header.Get("Accept"), ",") {
		if name, _, err := mime.ParseMediaType(accepted); err == nil && name == mediaType {
			return true
		}
	}
	return false
}
