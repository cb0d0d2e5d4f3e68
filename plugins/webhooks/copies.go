package webhooks

import (
	"encoding/json"
	"fmt"

	"github.com/picobase/picobase/migrations"
	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/core"
)

// skipped is the attempt in the log of a delivery that is none of this project's.
const skipped = "not sent: it is of the project that this one is a copy of"

// Adopt keeps a copy of another project's data from speaking in its name: webhooks
// that are not this project's are disabled, what waits for them is skipped. They
// become this project's when somebody enables them. Call it before requests are
// served, after every start.
func (p *Plugin) Adopt() error {
	var records []*core.Record
	if err := p.app.RecordQuery(migrations.WebhooksCollection).All(&records); err != nil {
		return fmt.Errorf("read webhook endpoints: %w", err)
	}
	err := p.app.RunInTransaction(func(tx core.App) error {
		for _, record := range records {
			if err := p.adopt(tx, record); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("tell copied webhooks from own ones: %w", err)
	}
	return p.reload()
}

func (p *Plugin) adopt(tx core.App, record *core.Record) error {
	owner := record.GetString("project")
	switch {
	case p.cfg.Project != "" && owner == p.cfg.Project:
		return nil
	case owner == "" && !p.cfg.Paused:
		if p.cfg.Project == "" {
			return nil
		}
		// Made before the project had an id.
		_, err := tx.NonconcurrentDB().Update(migrations.WebhooksCollection,
			dbx.Params{"project": p.cfg.Project}, dbx.HashExp{"id": record.Id}).Execute()
		return err
	}
	if err := p.skipPending(tx, record.Id); err != nil || !record.GetDateTime("disabled").IsZero() {
		return err
	}
	record.Set("disabled", p.cfg.Now())
	record.Set("disabledReason", reasonBranch)
	if err := tx.Save(record); err != nil {
		return err
	}
	p.app.Logger().Warn("webhook of another project disabled", "webhook", record.Id, "host", p.endpointOf(record).host())
	return nil
}

// skipPending ends what waits for an endpoint.
func (p *Plugin) skipPending(tx core.App, endpointID string) error {
	attempt, err := json.Marshal(try{At: p.cfg.Now().UTC(), Error: skipped})
	if err != nil {
		return err
	}
	_, err = tx.NonconcurrentDB().NewQuery("UPDATE " + table + " SET status = {:skipped}, finished = {:now}," +
		" tries = json_insert(tries, '$[#]', json({:attempt})) WHERE endpoint = {:endpoint} AND status = 'pending'").
		Bind(dbx.Params{"skipped": statusSkipped, "now": p.cfg.Now().UnixMilli(), "attempt": string(attempt), "endpoint": endpointID}).Execute()
	return err
}
