package usage

import (
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/search"
	"github.com/pocketbase/pocketbase/tools/types"
)

const (
	defaultLogsPerPage = 50
	maxLogsPerPage     = 500
)

// logFields are the fields that a filter may use, as in PocketBase's own API.
var logFields = []string{"id", "created", "level", "message", "data", `^data\.[\w\.\:]*\w+$`}

// listLogs answers from PocketBase's log, which lags some three seconds behind.
func (p *Plugin) listLogs(e *core.RequestEvent) error {
	list, err := parseLogList(e.Request.URL.RawQuery)
	if err != nil {
		return httpapi.Failure(err)
	}
	logs := p.app.AuxModelQuery(&core.Log{})
	if err := list.restrict(logs); err != nil {
		return httpapi.Failure(err)
	}
	result, err := search.NewProvider(search.NewSimpleFieldResolver(logFields...)).
		Query(logs).
		Page(list.page).
		PerPage(list.perPage).
		AddSort(search.SortField{Name: "@rowid", Direction: search.SortDesc}). // by time would sort the whole table
		Exec(&[]*core.Log{})
	if err != nil && list.filter != "" {
		return httpapi.Failure(invalidFilter(err))
	}
	if err != nil {
		return e.InternalServerError("The log cannot be read at present.", err)
	}
	return e.JSON(http.StatusOK, result)
}

// logList is what GET /api/v1/logs is asked.
type logList struct {
	page, perPage int
	filter        string
	requests      requestFilter
	requestID     string
	level         *slog.Level
	since, until  time.Time
}

func parseLogList(raw string) (list logList, err error) {
	q, err := httpapi.ParseQuery(raw, "page", "perPage", "filter", "key", "route", "status", "level", "requestId", "since", "until")
	if err != nil {
		return list, err
	}
	list.filter, list.requestID = q.Get("filter"), q.Get("requestId")
	if list.page, err = q.Number("page", 1, math.MaxInt32); err != nil {
		return list, err
	}
	if list.perPage, err = q.Number("perPage", defaultLogsPerPage, maxLogsPerPage); err != nil {
		return list, err
	}
	if list.requests, err = parseRequestFilter(q); err != nil {
		return list, err
	}
	if list.level, err = parseLevel(q.Get("level")); err != nil {
		return list, err
	}
	if list.since, err = q.Time("since"); err != nil {
		return list, err
	}
	list.until, err = q.Time("until")
	return list, err
}

// parseLevel reads the name or number of a log level, nil without one.
func parseLevel(text string) (*slog.Level, error) {
	if text == "" {
		return nil, nil
	}
	if n, err := strconv.ParseInt(text, 10, 8); err == nil {
		level := slog.Level(n)
		return &level, nil
	}
	for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
		if strings.EqualFold(text, level.String()) {
			return &level, nil
		}
	}
	return nil, apierr.Invalid("level", "must be debug, info, warn, error or a number such as 4.")
}

// restrict adds what was asked to a query of the log.
func (l logList) restrict(logs *dbx.SelectQuery) error {
	l.requests.restrict(logs)
	if l.requestID != "" {
		logs.AndWhere(dbx.NewExp("JSON_EXTRACT([[data]], '$.meta.requestId') = {:picoRequest}", dbx.Params{"picoRequest": l.requestID}))
	}
	if l.level != nil {
		logs.AndWhere(dbx.HashExp{"level": int(*l.level)})
	}
	if !l.since.IsZero() {
		logs.AndWhere(dbx.NewExp("[[created]] >= {:picoSince}", dbx.Params{"picoSince": l.since.Format(types.DefaultDateLayout)}))
	}
	if !l.until.IsZero() {
		logs.AndWhere(dbx.NewExp("[[created]] < {:picoUntil}", dbx.Params{"picoUntil": l.until.Format(types.DefaultDateLayout)}))
	}
	if l.filter == "" {
		return nil
	}
	if len(l.filter) > search.MaxFilterLength {
		return apierr.Invalid("filter", fmt.Sprintf("must be at most %d characters long.", search.MaxFilterLength))
	}
	expr, err := search.FilterData(l.filter).BuildExpr(search.NewSimpleFieldResolver(logFields...))
	if err != nil {
		return invalidFilter(err)
	}
	logs.AndWhere(expr)
	return nil
}

func invalidFilter(err error) error {
	return apierr.Invalid("filter", `is not a filter over id, created, level, message and data.*, such as data.status >= 400 && message ~ "users".`).WithCause(err)
}
