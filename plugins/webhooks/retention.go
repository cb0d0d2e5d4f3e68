package webhooks

import (
	"time"

	"github.com/picobase/picobase/migrations"
	"github.com/pocketbase/dbx"
)

// retentionBatch bounds how long one delete keeps other writers waiting.
const retentionBatch = 500

// longestWait is more than any wait between two attempts.
const longestWait = 27 * time.Hour

// mendDue makes due what waits for a time too far away to be meant: the clock was
// ahead when it was written.
func (p *Plugin) mendDue() {
	now := p.cfg.Now()
	_, err := p.app.NonconcurrentDB().Update(table, dbx.Params{"due": now.UnixMilli()},
		dbx.NewExp("status = 'pending' AND due > {:late}", dbx.Params{"late": now.Add(longestWait).UnixMilli()})).Execute()
	if err != nil {
		p.app.Logger().Error("webhook due times", "error", err)
	}
}

func (p *Plugin) runRetention() {
	p.mendDue()
	deleted, err := p.prune()
	if err != nil {
		p.app.Logger().Error("webhook retention", "error", err)
	}
	if deleted > 0 {
		p.app.Logger().Info("webhook retention", "deleted", deleted)
	}
}

// prune deletes deliveries: those that ended longer ago than the settings say,
// those of that age that wait for a disabled endpoint, and those of endpoints
// that are deleted.
func (p *Plugin) prune() (deleted int64, err error) {
	cutoff := p.cfg.Now().Add(-time.Duration(p.cfg.Settings().Webhooks.RetentionDays) * 24 * time.Hour).UnixMilli()
	for _, condition := range []string{
		"finished > 0 AND finished < {:cutoff}",
		"status = 'pending' AND created < {:cutoff} AND endpoint IN (SELECT id FROM " + migrations.WebhooksCollection + " WHERE disabled <> '')",
		"endpoint NOT IN (SELECT id FROM " + migrations.WebhooksCollection + ")",
	} {
		for {
			result, err := p.app.NonconcurrentDB().NewQuery("DELETE FROM " + table + " WHERE id IN (SELECT id FROM " + table +
				" WHERE " + condition + " LIMIT {:limit})").
				Bind(dbx.Params{"cutoff": cutoff, "limit": retentionBatch}).Execute()
			if err != nil {
				return deleted, err
			}
			n, err := result.RowsAffected()
			if err != nil {
				return deleted, err
			}
			deleted += n
			if n < retentionBatch {
				break
			}
		}
	}
	return deleted, nil
}
