package jshooks

import (
	"log/slog"
	"net/http"
	"strings"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/pocketbase/pocketbase/core"
)

const (
	defaultLogsPerPage = 50
	maxLogsPerPage     = 500
	maxLogsPage        = 100_000
)

// logList is the answer of listLogs.
type logList struct {
	Page       int        `json:"page"`
	PerPage    int        `json:"perPage"`
	TotalItems int        `json:"totalItems"`
	Items      []logEntry `json:"items"`
}

func (p *Plugin) listLogs(e *core.RequestEvent) error {
	q, err := httpapi.ParseQuery(e.Request.URL.RawQuery, "page", "perPage", "level", "version", "hook", "requestId", "since")
	if err != nil {
		return failure(err)
	}
	answer := logList{}
	if answer.Page, err = q.Number("page", 1, maxLogsPage); err != nil {
		return failure(err)
	}
	if answer.PerPage, err = q.Number("perPage", defaultLogsPerPage, maxLogsPerPage); err != nil {
		return failure(err)
	}
	filter, err := parseLogFilter(q)
	if err != nil {
		return failure(err)
	}
	if filter.since, err = q.Time("since"); err != nil {
		return failure(err)
	}
	// So that the answer includes the last second.
	if err := p.logs.write(); err != nil {
		return failure(err)
	}
	if answer.Items, answer.TotalItems, err = p.readLogs(filter, answer.Page, answer.PerPage); err != nil {
		return failure(err)
	}
	return e.JSON(http.StatusOK, answer)
}

// streamLogs sends entries as they come; see [httpapi.Tail].
func (p *Plugin) streamLogs(e *core.RequestEvent) error {
	q, err := httpapi.ParseQuery(e.Request.URL.RawQuery, "level", "version", "hook", "requestId")
	if err != nil {
		return failure(err)
	}
	filter, err := parseLogFilter(q)
	if err != nil {
		return failure(err)
	}
	return p.tail.Serve(e, filter.matches)
}

func parseLogFilter(q httpapi.Query) (logFilter, error) {
	f := logFilter{level: slog.LevelDebug, version: q.Get("version"), hook: q.Get("hook"), requestID: q.Get("requestId")}
	if name := q.Get("level"); name != "" {
		level, known := levels[strings.ToLower(name)]
		if !known {
			return f, apierr.Invalid("level", "must be debug, info, warn or error.")
		}
		f.level = level
	}
	return f, nil
}
