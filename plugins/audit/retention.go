package audit

import (
	"time"

	"github.com/picobase/picobase/internal/config"
	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/tools/types"
)

const (
	retentionJob      = "picoAuditRetention"
	retentionSchedule = "17 3 * * *" // daily, UTC

	// retentionBatch bounds how long one delete keeps other writers waiting.
	retentionBatch = 1000
)

func (p *Plugin) runRetention() {
	deleted, err := p.prune(time.Now())
	if err != nil {
		p.app.Logger().Error("audit retention", "error", err)
	}
	if deleted > 0 {
		p.app.Logger().Info("audit retention", "deleted", deleted)
	}
}

// prune deletes the entries that are older than the settings say. The table
// itself refuses to give up those younger than config.MinAuditDays.
func (p *Plugin) prune(now time.Time) (deleted int64, err error) {
	days := max(p.cfg.Settings().Audit.RetentionDays, config.MinAuditDays)
	cutoff := now.Add(-time.Duration(days) * 24 * time.Hour)
	for {
		result, err := p.app.NonconcurrentDB().NewQuery(
			"DELETE FROM {{" + table + "}} WHERE [[id]] IN (" +
				"SELECT [[id]] FROM {{" + table + "}} WHERE [[created]] < {:cutoff} ORDER BY [[created]] LIMIT {:limit})",
		).Bind(dbx.Params{
			"cutoff": cutoff.UTC().Format(types.DefaultDateLayout),
			"limit":  retentionBatch,
		}).Execute()
		if err != nil {
			return deleted, err
		}
		n, err := result.RowsAffected()
		if err != nil {
			return deleted, err
		}
		deleted += n
		if n < retentionBatch {
			return deleted, nil
		}
	}
}
