package backups

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/picobase/picobase/internal/objectstore"
	"github.com/picobase/picobase/plugins/backups/restore"
	_ "modernc.org/sqlite" // the driver of PocketBase itself: one SQLite per process
)

// DrillReport is the outcome of a restore drill.
type DrillReport struct {
	Status   string    `json:"status"` // ok or failed
	Started  time.Time `json:"started"`
	Source   string    `json:"source"`   // replica, or the id of a snapshot
	Duration float64   `json:"duration"` // seconds that the restore took
	Bytes    int64     `json:"bytes"`    // of the restored database
	Tables   int       `json:"tables"`
	Rows     int64     `json:"rows"`
	Error    string    `json:"error,omitempty"`
}

// drillKey is where the last report is kept, so that it outlives the machine.
const drillKey = "drill.json"

// drill proves that a restore works: it restores the newest state aside, checks
// it whole, and compares it with what is being served.
func (p *Plugin) drill(ctx context.Context) DrillReport {
	defer p.work.begin(workDrill)()
	report := DrillReport{Started: time.Now().UTC(), Source: "replica", Status: "ok"}
	err := p.tryDrill(ctx, &report)
	if ctx.Err() != nil {
		return report // the stop of the server is no failure of the backups
	}
	if err != nil {
		report.Status, report.Error = "failed", public(err)
		p.logger().Error("restore drill failed: the backups may not be good", "error", err)
		if p.replica.Status().Err != nil {
			return report // the store is away, which says nothing about what is in it
		}
	}
	p.metrics.drilled(report)
	raw, err := json.Marshal(report)
	if err == nil {
		_, err = p.cfg.Stores.State.Put(ctx, drillKey, bytes.NewReader(raw), objectstore.PutOptions{})
	}
	if err != nil {
		p.logger().Warn("keep the report of the restore drill", "error", err)
	}
	return report
}

func (p *Plugin) tryDrill(ctx context.Context, report *DrillReport) error {
	if p.cfg.NoReplication {
		return p.drillSnapshot(ctx, report)
	}
	scratch := filepath.Join(p.dir, restore.Folder, "scratch")
	if err := os.MkdirAll(scratch, 0o700); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(scratch, "drill-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()

	// The replica is of a moment between these two counts.
	before, err := p.countServed(ctx)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, "data.db")
	begin := time.Now()
	if _, err := p.restoreTo(ctx, path, time.Time{}); err != nil {
		return err
	}
	report.Duration = time.Since(begin).Seconds()
	after, err := p.countServed(ctx)
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	report.Bytes = info.Size()
	restored, err := checkRestored(ctx, path)
	if err != nil {
		return err
	}
	report.Tables = len(restored)
	for _, rows := range restored {
		report.Rows += rows
	}
	if !p.serving.Load() {
		return nil // the folder may be behind or ahead of its replica
	}
	return compare(restored, before, after)
}

// compare holds the rows of each restored table against what was served before
// and after.
func compare(restored, before, after map[string]int64) error {
	for table, rows := range restored {
		low, high := min(before[table], after[table]), max(before[table], after[table])
		if rows < low || rows > high {
			return fmt.Errorf("table %s has %d rows in the restored state, %d to %d are served", table, rows, low, high)
		}
	}
	for table := range before {
		if _, found := restored[table]; !found {
			return fmt.Errorf("table %s is missing in the restored state", table)
		}
	}
	return nil
}

// drillSnapshot is the drill without a replica: the newest snapshot is checked.
func (p *Plugin) drillSnapshot(ctx context.Context, report *DrillReport) error {
	all, err := p.vault.List(ctx)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return errors.New("there is no snapshot to restore")
	}
	report.Source = all[0].ID
	begin := time.Now()
	checked, err := p.vault.Verify(ctx, all[0].ID)
	report.Duration = time.Since(begin).Seconds()
	if err == nil && checked.Database != nil {
		report.Bytes, report.Tables = checked.Database.Bytes, checked.Database.Tables
		for _, rows := range checked.Database.Rows {
			report.Rows += rows
		}
	}
	return err
}

// countServed counts the rows of each table that is being served, all at one moment.
func (p *Plugin) countServed(ctx context.Context) (map[string]int64, error) {
	if !p.serving.Load() {
		return nil, nil
	}
	db, err := sql.Open("sqlite", filepath.Join(p.dir, "data.db")+"?_pragma=busy_timeout(10000)&_pragma=query_only(1)")
	if err != nil {
		return nil, err
	}
	counts, err := countRows(ctx, db)
	return counts, errors.Join(err, db.Close())
}

func checkRestored(ctx context.Context, path string) (map[string]int64, error) {
	db, err := sql.Open("sqlite", path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = db.Close() }() // only read from
	var result string
	if err := db.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&result); err != nil {
		return nil, fmt.Errorf("check the restored database: %w", err)
	}
	if result != "ok" {
		return nil, fmt.Errorf("check the restored database: %s", result)
	}
	return countRows(ctx, db)
}

func countRows(ctx context.Context, db *sql.DB) (map[string]int64, error) {
	tx, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback() }() // nothing was written
	rows, err := tx.QueryContext(ctx, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE '_litestream_%'")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	counts := map[string]int64{}
	for rows.Next() {
		var table string
		if err := rows.Scan(&table); err != nil {
			return nil, err
		}
		counts[table] = 0
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	for table := range counts {
		var n int64
		query := `SELECT COUNT(*) FROM "` + strings.ReplaceAll(table, `"`, `""`) + `"`
		if err := tx.QueryRowContext(ctx, query).Scan(&n); err != nil {
			return nil, fmt.Errorf("count rows of %s: %w", table, err)
		}
		counts[table] = n
	}
	return counts, nil
}

// lastDrill returns the report of the last drill, or nil.
func (p *Plugin) lastDrill(ctx context.Context) (*DrillReport, error) {
	raw, err := objectstore.ReadAll(ctx, p.cfg.Stores.State, drillKey)
	if errors.Is(err, objectstore.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var report DrillReport
	return &report, json.Unmarshal(raw, &report)
}
