package audit

import (
	"net/http"
	"strings"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/hook"
	"github.com/pocketbase/pocketbase/tools/router"
)

// The table's triggers refuse to change or delete entries. What is left is SQL
// that removes the triggers or writes around them. A superuser can send SQL to
// the console, and, inside of a view's query or an index, to the collections API.

// ErrAppendOnly answers SQL that could change the trail.
var ErrAppendOnly = apierr.New(http.StatusForbidden, "audit_append_only",
	"The audit trail cannot be changed. SQL that names "+table+" must be one plain SELECT.")

// backdoors write to a table without naming it.
var backdoors = []string{
	"writable_schema", // edits sqlite_schema, where the triggers are
	"sqlite_dbpage",   // edits the pages of the file
}

// endangersTrail reports whether SQL could change the trail. SQLite has no way
// to name a table other than literally, in any case, so a look at the text is
// enough. It errs on the side of refusal: a semicolon in a string counts as one.
func endangersTrail(sql string) bool {
	sql = strings.ToLower(sql)
	for _, backdoor := range backdoors {
		if strings.Contains(sql, backdoor) {
			return true
		}
	}
	return strings.Contains(sql, table) && !isPlainSelect(sql)
}

func isPlainSelect(lowerSQL string) bool {
	const space = " \t\r\n"
	rest, ok := strings.CutPrefix(strings.TrimLeft(lowerSQL, space), "select")
	if !ok || rest == "" || !strings.ContainsAny(rest[:1], space+"(*'\"`[") {
		return false
	}
	return !strings.Contains(strings.TrimRight(rest, space+";"), ";")
}

// bindGuard refuses collections that would put such SQL into the database, or
// that would take the trail's own name. It comes before PocketBase's hooks,
// which try a view's query out.
func (p *Plugin) bindGuard() {
	guard := &hook.Handler[*core.CollectionEvent]{
		Id:       "picoAuditGuard",
		Priority: -1000,
		Func: func(e *core.CollectionEvent) error {
			if endangers(e.Collection) {
				return httpapi.Error(ErrAppendOnly)
			}
			return e.Next()
		},
	}
	p.app.OnCollectionCreate().Bind(guard)
	p.app.OnCollectionUpdate().Bind(guard)
	p.app.OnCollectionDelete().Bind(guard)
}

// endangers looks at the whole definition: names end up in SQL as well, and an
// import stores them before it checks them.
func endangers(collection *core.Collection) bool {
	if endangersTrail(collection.ViewQuery) {
		return true
	}
	definition := *collection
	definition.ViewQuery = ""
	return endangersTrail(definition.String())
}

// guardQuery reads the SQL of a request as PocketBase will, and refuses what
// endangers the trail. The body stays readable.
func guardQuery(e *core.RequestEvent) (query string, err error) {
	var body struct {
		Query string `form:"query" json:"query"`
	}
	if err := e.BindBody(&body); err != nil {
		return "", nil // PocketBase answers that better
	}
	// From here on the body is what was just read. An XML document followed by a
	// second one would else show PocketBase other SQL than this guard.
	if body, ok := e.Request.Body.(router.Rereader); ok {
		body.Reread()
	}
	if endangersTrail(body.Query) {
		return body.Query, httpapi.Error(ErrAppendOnly)
	}
	return body.Query, nil
}
