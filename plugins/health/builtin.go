package health

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/picobase/picobase/internal/disk"
)

// The database files of a tenant, by the name that metrics give them.
var databases = []struct{ name, file string }{
	{"data", "data.db"},
	{"auxiliary", "auxiliary.db"},
}

func (p *Plugin) builtinChecks() []Check {
	return []Check{
		{Name: "database", Run: p.checkDatabase},
		{Name: "disk", Run: p.checkDisk},
		{Name: "wal", Run: p.checkWAL},
		{Name: "queue", Run: p.checkQueue},
	}
}

// checkDatabase takes the lock that every write needs. The statement matches no
// row, so nothing is written: not a page, not a frame of the WAL.
func (p *Plugin) checkDatabase(ctx context.Context) Result {
	db := p.app.NonconcurrentDB()
	if db == nil {
		return Result{Status: Failing, Message: "The database is not open."}
	}
	start := time.Now()
	_, err := db.NewQuery("UPDATE _params SET id = id WHERE 0").WithContext(ctx).Execute()
	if err != nil {
		return Result{Status: Failing, Message: "The database does not accept writes.", Err: err}
	}
	latency := time.Since(start)
	return Result{Values: map[string]any{"latencyMs": math.Round(float64(latency.Microseconds())) / 1000}}
}

// diskFailingBytes is how little free space counts as none.
const diskFailingBytes = 50 << 20

func (p *Plugin) checkDisk(context.Context) Result {
	free, total, err := disk.Space(p.app.DataDir())
	if errors.Is(err, errors.ErrUnsupported) {
		return Result{Status: Unknown, Message: "Free space cannot be read on this platform."}
	}
	if err != nil {
		return Result{Status: Failing, Message: "The data folder cannot be read.", Err: err}
	}
	return rateDisk(free, total)
}

func rateDisk(free, total uint64) Result {
	result := Result{Values: map[string]any{"freeBytes": free, "totalBytes": total}}
	switch {
	case free < diskFailingBytes:
		result.Status, result.Message = Failing, "The disk is full."
	case disk.Low(free, total):
		result.Status, result.Message = Degraded, "The disk is almost full."
	}
	return result
}

func (p *Plugin) checkWAL(context.Context) Result {
	var bytes int64
	for _, db := range databases {
		bytes += fileSize(filepath.Join(p.app.DataDir(), db.file+"-wal"))
	}
	return Result{Values: map[string]any{"bytes": bytes}}
}

func (p *Plugin) checkQueue(context.Context) Result {
	return Result{Values: map[string]any{
		"requestsInFlight": p.inFlight.Load(),
		"streams":          p.realtime.Load() + p.streams.Load(),
		"realtimeClients":  p.app.SubscriptionsBroker().TotalClients(),
	}}
}

// fileSize returns the size of a file in bytes, 0 when there is none. Database
// files are only looked at from outside: closing a second descriptor on one
// would drop the locks that SQLite holds through the first.
func fileSize(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}
