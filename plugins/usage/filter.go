package usage

import (
	"strconv"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/pocketbase/dbx"
)

// noKey is how the API names requests without a key.
const noKey = "none"

// requestFilter selects requests in the log, stored or live. The zero value
// selects all.
type requestFilter struct {
	key    string // an id or noKey
	route  string // a pattern, such as "GET /api/collections/{collection}/records"
	status statusRange
}

// statusRange is a range of status codes, both ends included. The zero value
// stands for all.
type statusRange struct{ from, to int }

func parseRequestFilter(q httpapi.Query) (requestFilter, error) {
	filter := requestFilter{key: q.Get("key"), route: q.Get("route")}
	var err error
	filter.status, err = parseStatus(q.Get("status"))
	return filter, err
}

// parseStatus reads a status such as 404, or a class such as 4xx.
func parseStatus(text string) (statusRange, error) {
	if text == "" {
		return statusRange{}, nil
	}
	if len(text) == 3 && text[0] >= '1' && text[0] <= '5' {
		if text[1:] == "xx" {
			first := int(text[0]-'0') * 100
			return statusRange{first, first + 99}, nil
		}
		if code, err := strconv.Atoi(text); err == nil {
			return statusRange{code, code}, nil
		}
	}
	return statusRange{}, apierr.Invalid("status", "must be a status such as 404, or a class such as 4xx.")
}

// keyID returns the id that is stored for the key.
func (f requestFilter) keyID() string {
	if f.key == noKey {
		return ""
	}
	return f.key
}

func (f requestFilter) matches(e *entry) bool {
	return (f.key == "" || f.keyID() == e.KeyID) &&
		(f.route == "" || f.route == e.Route) &&
		(f.status.to == 0 || f.status.from <= e.Status && e.Status <= f.status.to)
}

// restrict adds the filter to a query of PocketBase's log.
func (f requestFilter) restrict(logs *dbx.SelectQuery) {
	if f.key != "" {
		logs.AndWhere(dbx.NewExp("JSON_EXTRACT([[data]], '$.meta.keyId') = {:picoKey}", dbx.Params{"picoKey": f.keyID()}))
	}
	if f.route != "" {
		logs.AndWhere(dbx.NewExp("JSON_EXTRACT([[data]], '$.meta.route') = {:picoRoute}", dbx.Params{"picoRoute": f.route}))
	}
	if f.status.to != 0 {
		logs.AndWhere(dbx.NewExp("JSON_EXTRACT([[data]], '$.status') BETWEEN {:picoFrom} AND {:picoTo}",
			dbx.Params{"picoFrom": f.status.from, "picoTo": f.status.to}))
	}
}
