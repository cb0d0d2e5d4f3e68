package jshooks

import (
	"cmp"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/picobase/picobase/plugins/jshooks/engine"
	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/core"
)

const (
	logInterval     = time.Second // entries wait no longer
	maxPending      = 2000        // entries kept while they wait; more are dropped
	maxPendingBytes = 2 << 20
	maxMessage      = 8 << 10
	maxLogRows      = 100_000 // the oldest of more are deleted
	pruneEvery      = 1000    // entries written
)

// logEntry is one line that a hook logged, or an error of one.
type logEntry struct {
	ID        int64     `json:"id,omitempty"` // of the stored line
	Time      time.Time `json:"time"`
	Level     string    `json:"level"`
	Message   string    `json:"message"`
	Version   string    `json:"version"`
	Hook      string    `json:"hook"`
	File      string    `json:"file"`
	Line      int       `json:"line"`
	RequestID string    `json:"requestId"`
}

// levels are the names that entries have; the numbers are those of _logs.
var levels = map[string]slog.Level{
	"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
}

func levelName(level slog.Level) string { return strings.ToLower(level.String()) }

// log takes an entry of a hook. It never waits for the database or a listener.
func (p *Plugin) log(entry engine.Entry) {
	e := logEntry{
		Time: entry.At.UTC(), Level: entry.Level, Message: cut(p.secrets.masked(entry.Message)), Version: entry.Version,
		Hook: entry.Hook, File: entry.File, Line: entry.Line, RequestID: entry.RequestID,
	}
	if _, known := levels[e.Level]; !known {
		e.Level = "info" // console.log
	}
	if entry.At.IsZero() {
		e.Time = time.Now().UTC()
	}
	p.logs.add(e)
	if p.tail.HasListeners() {
		p.tail.Publish(e)
	}
}

// cut shortens a message that a hook chose the length of.
func cut(message string) string {
	if len(message) <= maxMessage {
		return message
	}
	return strings.ToValidUTF8(message[:maxMessage], "") + "…"
}

// logBuffer keeps entries until they are written, in batches.
type logBuffer struct {
	app core.App

	mu      sync.Mutex
	pending []logEntry
	bytes   int
	dropped int

	writing sync.Mutex // held by the one write under way; guards what follows
	written int        // since old rows were last deleted
}

func (b *logBuffer) add(e logEntry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.pending) >= maxPending || b.bytes+len(e.Message) > maxPendingBytes {
		b.dropped++
		return
	}
	b.pending = append(b.pending, e)
	b.bytes += len(e.Message)
}

// take empties the buffer. That something was dropped is an entry as well.
func (b *logBuffer) take() []logEntry {
	b.mu.Lock()
	defer b.mu.Unlock()
	batch := b.pending
	if b.dropped > 0 {
		batch = append(batch, logEntry{
			Time: time.Now().UTC(), Level: "warn",
			Message: strconv.Itoa(b.dropped) + " entries were dropped: hooks log faster than they can be stored",
		})
	}
	b.pending, b.bytes, b.dropped = nil, 0, 0
	return batch
}

// write stores what is pending, in one transaction. Without any it writes
// nothing, so that an idle tenant's disk stays still.
func (b *logBuffer) write() error {
	b.writing.Lock()
	defer b.writing.Unlock()
	batch := b.take()
	if len(batch) == 0 {
		return nil
	}
	err := b.app.AuxRunInTransaction(func(tx core.App) error {
		statement := tx.AuxDB().NewQuery("INSERT INTO _pico_hook_logs (at, level, message, version, hook, file, line, request_id)" +
			" VALUES ({:at}, {:level}, {:message}, {:version}, {:hook}, {:file}, {:line}, {:request})").Prepare()
		defer statement.Close()
		for _, e := range batch {
			_, err := statement.Bind(dbx.Params{
				"at": e.Time.UnixMilli(), "level": int(levels[e.Level]), "message": e.Message, "version": e.Version,
				"hook": e.Hook, "file": e.File, "line": e.Line, "request": e.RequestID,
			}).Execute()
			if err != nil {
				return err
			}
		}
		if b.written += len(batch); b.written < pruneEvery {
			return nil
		}
		b.written = 0
		_, err := tx.AuxDB().NewQuery("DELETE FROM _pico_hook_logs WHERE id <= (SELECT MAX(id) FROM _pico_hook_logs) - " +
			strconv.Itoa(maxLogRows)).Execute()
		return err
	})
	if err != nil {
		b.putBack(batch)
		return fmt.Errorf("store log of hooks: %w", err)
	}
	return nil
}

// putBack keeps a batch that could not be written, as far as there is room.
func (b *logBuffer) putBack(batch []logEntry) {
	b.mu.Lock()
	newer := b.pending
	b.pending, b.bytes = nil, 0
	b.mu.Unlock()
	for _, e := range append(batch, newer...) {
		b.add(e)
	}
}

func (p *Plugin) deleteOldLogs() error {
	before := time.Now().AddDate(0, 0, -p.cfg.Settings().JSHooks.LogRetentionDays)
	_, err := p.app.AuxNonconcurrentDB().
		Delete("_pico_hook_logs", dbx.NewExp("at < {:before}", dbx.Params{"before": before.UnixMilli()})).Execute()
	return err
}

// logFilter selects entries, stored or live. The zero value selects all.
type logFilter struct {
	level     slog.Level // this one and above
	version   string
	hook      string
	requestID string
	since     time.Time // stored ones
}

func (f logFilter) matches(e *logEntry) bool {
	return levels[e.Level] >= f.level &&
		(f.version == "" || f.version == e.Version) &&
		(f.hook == "" || f.hook == e.Hook) &&
		(f.requestID == "" || f.requestID == e.RequestID)
}

func (f logFilter) restrict(query *dbx.SelectQuery) {
	query.AndWhere(dbx.NewExp("level >= {:level}", dbx.Params{"level": int(f.level)}))
	for column, value := range map[string]string{"version": f.version, "hook": f.hook, "request_id": f.requestID} {
		if value != "" {
			query.AndWhere(dbx.HashExp{column: value})
		}
	}
	if !f.since.IsZero() {
		query.AndWhere(dbx.NewExp("at >= {:since}", dbx.Params{"since": f.since.UnixMilli()}))
	}
}

// logRow is a line of the log's table.
type logRow struct {
	ID        int64  `db:"id"`
	At        int64  `db:"at"`
	Level     int    `db:"level"`
	Message   string `db:"message"`
	Version   string `db:"version"`
	Hook      string `db:"hook"`
	File      string `db:"file"`
	Line      int    `db:"line"`
	RequestID string `db:"request_id"`
}

func (r logRow) entry() logEntry {
	return logEntry{
		ID: r.ID, Time: time.UnixMilli(r.At).UTC(), Level: levelName(slog.Level(r.Level)), Message: r.Message, Version: r.Version,
		Hook: r.Hook, File: r.File, Line: r.Line, RequestID: r.RequestID,
	}
}

// readLogs returns one page of the stored log, the newest first, and how many
// entries there are.
func (p *Plugin) readLogs(f logFilter, page, perPage int) (entries []logEntry, total int, err error) {
	query := func(columns string) *dbx.SelectQuery {
		q := p.app.AuxConcurrentDB().Select(columns).From("_pico_hook_logs")
		f.restrict(q)
		return q
	}
	var rows []logRow
	err = cmp.Or(
		query("COUNT(*)").Row(&total),
		query("*").OrderBy("id DESC").Limit(int64(perPage)).Offset(int64(page-1)*int64(perPage)).All(&rows),
	)
	if err != nil {
		return nil, 0, fmt.Errorf("read log of hooks: %w", err)
	}
	entries = make([]logEntry, 0, len(rows))
	for _, row := range rows {
		entries = append(entries, row.entry())
	}
	return entries, total, nil
}
