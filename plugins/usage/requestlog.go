package usage

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/types"
)

const (
	// skipSuccessKey is how PocketBase's activity logger is told to leave a
	// request out that did not fail; a test holds it against PocketBase.
	skipSuccessKey = "__skipSuccessActivityLogger"

	logBatch    = 200             // entries that are written at once, as in PocketBase
	logInterval = 3 * time.Second // entries wait no longer, as in PocketBase
	maxPending  = 20_000          // entries kept while the database is busy; more are dropped
)

// requestLog writes requests that succeeded to PocketBase's _logs, in the form
// of PocketBase's own logger, which saves each as a model with all its hooks: a
// fourth of what reading a record costs. Failed requests are few and are left to
// PocketBase.
type requestLog struct {
	app core.App

	mu      sync.Mutex
	pending []loggedRequest
	dropped int

	writing sync.Mutex // held by the one write under way
}

// loggedRequest is one line of the log before it is encoded.
type loggedRequest struct {
	created time.Time
	data    logData
}

// logData is the column data of a request, as PocketBase writes it.
type logData struct {
	Type      string  `json:"type"`
	ExecTime  float64 `json:"execTime"` // milliseconds
	Meta      any     `json:"meta"`
	URL       string  `json:"url"`
	Method    string  `json:"method"`
	Status    int     `json:"status"`
	Referer   string  `json:"referer"`
	UserAgent string  `json:"userAgent"`
	Auth      string  `json:"auth"`
	AuthID    string  `json:"authId,omitempty"`
	UserIP    string  `json:"userIP,omitempty"`
	RemoteIP  string  `json:"remoteIP,omitempty"`
}

// add takes a request that succeeded over from PocketBase's logger.
func (l *requestLog) add(e *core.RequestEvent, status int, s sample) {
	settings := e.App.Settings().Logs
	// In dev mode PocketBase prints what it logs.
	if settings.MaxDays == 0 || e.App.IsDev() || e.Get(skipSuccessKey) != nil {
		return
	}
	e.Set(skipSuccessKey, true)
	if settings.MinLevel > int(slog.LevelInfo) {
		return
	}
	data := logData{
		Type:      "request",
		ExecTime:  milliseconds(s.latency),
		Meta:      e.Get(apis.RequestEventKeyLogMeta),
		URL:       cut(e.Request.URL.RequestURI(), 3000),
		Method:    e.Request.Method,
		Status:    status,
		Referer:   cut(e.Request.Referer(), 2000),
		UserAgent: cut(e.Request.UserAgent(), 2000),
	}
	if e.Auth != nil {
		data.Auth = e.Auth.Collection().Name
		if settings.LogAuthId {
			data.AuthID = e.Auth.Id
		}
	}
	if settings.LogIP {
		data.UserIP, data.RemoteIP = e.RealIP(), e.RemoteIP()
	}

	l.mu.Lock()
	if len(l.pending) < maxPending {
		l.pending = append(l.pending, loggedRequest{s.at, data})
	} else {
		l.dropped++
	}
	full := len(l.pending)%logBatch == 0
	l.mu.Unlock()
	if full {
		go func() {
			if err := l.write(); err != nil {
				l.app.Logger().Error("request log not written", "error", err)
			}
		}()
	}
}

// write stores what is pending, in one transaction.
func (l *requestLog) write() error {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.mu.Lock()
	batch, dropped := l.pending, l.dropped
	l.pending, l.dropped = nil, 0
	l.mu.Unlock()
	if dropped > 0 {
		l.app.Logger().Warn("request log entries dropped: the database was too slow", "count", dropped)
	}
	if len(batch) == 0 {
		return nil
	}
	err := l.app.AuxRunInTransaction(func(tx core.App) error {
		statement := tx.AuxDB().NewQuery("INSERT INTO {{_logs}} (id, level, message, data, created)" +
			" VALUES ({:id}, {:level}, {:message}, {:data}, {:created})").Prepare()
		defer statement.Close()
		for _, entry := range batch {
			if err := entry.insert(statement); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		l.putBack(batch)
	}
	return err
}

// putBack keeps a batch that could not be written, as far as there is room.
func (l *requestLog) putBack(batch []loggedRequest) {
	l.mu.Lock()
	defer l.mu.Unlock()
	room := max(maxPending-len(l.pending), 0)
	if len(batch) > room {
		l.dropped += len(batch) - room
		batch = batch[len(batch)-room:] // the newest
	}
	l.pending = append(batch, l.pending...)
}

func (r loggedRequest) insert(statement *dbx.Query) error {
	data, err := json.Marshal(r.data)
	if err != nil {
		return errors.Join(errors.New("encode request log entry"), err)
	}
	created, err := types.ParseDateTime(r.created)
	if err != nil {
		return err
	}
	message := r.data.URL
	if unescaped, err := url.PathUnescape(message); err == nil {
		message = unescaped
	}
	_, err = statement.Bind(dbx.Params{
		"id":      core.GenerateDefaultRandomId(),
		"level":   int(slog.LevelInfo),
		"message": r.data.Method + " " + message,
		"data":    string(data),
		"created": created.String(),
	}).Execute()
	return err
}

// cut shortens a text that a client chose the length of.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "..."
}
