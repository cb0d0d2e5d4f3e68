package audit

import (
	"encoding/json"

	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/core"
)

// batchSize is how many rows are in memory at once when many are read.
const batchSize = 500

// row is a line of the table. Ids sort by time.
type row struct {
	ID         string  `db:"id"`
	Created    string  `db:"created"`
	ActorKind  string  `db:"actor_kind"`
	ActorID    string  `db:"actor_id"`
	ActorName  string  `db:"actor_name"`
	IP         string  `db:"ip"`
	UserAgent  string  `db:"user_agent"`
	RequestID  string  `db:"request_id"`
	Action     string  `db:"action"`
	TargetType string  `db:"target_type"`
	TargetID   string  `db:"target_id"`
	TargetName string  `db:"target_name"`
	Before     *string `db:"before"`
	After      *string `db:"after"`
}

// TableName implements [dbx.TableModel].
func (row) TableName() string { return table }

func (r *row) insert(app core.App) error {
	return app.NonconcurrentDB().Model(r).Insert()
}

// item is an entry as the API shows it.
type item struct {
	ID        string          `json:"id"`
	Created   string          `json:"created"`
	Actor     Actor           `json:"actor"`
	IP        string          `json:"ip"`
	UserAgent string          `json:"userAgent"`
	RequestID string          `json:"requestId"`
	Action    string          `json:"action"`
	Target    target          `json:"target"`
	Before    json.RawMessage `json:"before"`
	After     json.RawMessage `json:"after"`
}

type target struct {
	Type string `json:"type"`
	ID   string `json:"id"`
	Name string `json:"name"`
}

func (r *row) item() item {
	return item{
		ID:        r.ID,
		Created:   r.Created,
		Actor:     Actor{Kind: r.ActorKind, ID: r.ActorID, Name: r.ActorName},
		IP:        r.IP,
		UserAgent: r.UserAgent,
		RequestID: r.RequestID,
		Action:    r.Action,
		Target:    target{Type: r.TargetType, ID: r.TargetID, Name: r.TargetName},
		Before:    raw(r.Before),
		After:     raw(r.After),
	}
}

func raw(side *string) json.RawMessage {
	if side == nil {
		return nil
	}
	return json.RawMessage(*side)
}

// filter chooses entries; its empty fields choose all.
type filter struct {
	actor, actorKind, action, target string

	// since is the first moment and until the first after the last, in the
	// format of the table.
	since, until string
}

func (f filter) apply(query *dbx.SelectQuery) *dbx.SelectQuery {
	equals := func(value string, columns ...string) {
		if value == "" {
			return
		}
		var either []dbx.Expression
		for _, column := range columns {
			either = append(either, dbx.HashExp{column: value})
		}
		query.AndWhere(dbx.Or(either...))
	}
	equals(f.actor, "actor_id", "actor_name")
	equals(f.actorKind, "actor_kind")
	equals(f.action, "action")
	equals(f.target, "target_id", "target_name")
	if f.since != "" {
		query.AndWhere(dbx.NewExp("[[created]] >= {:since}", dbx.Params{"since": f.since}))
	}
	if f.until != "" {
		query.AndWhere(dbx.NewExp("[[created]] < {:until}", dbx.Params{"until": f.until}))
	}
	return query
}

// page returns one page of entries, the newest first, and how many there are on all pages.
func (p *Plugin) page(f filter, page, perPage int) (rows []row, total int, err error) {
	db := p.app.ConcurrentDB()
	if err := f.apply(db.Select("COUNT(*)").From(table)).Row(&total); err != nil {
		return nil, 0, err
	}
	err = f.apply(db.Select().From(table)).OrderBy("id DESC").
		Limit(int64(perPage)).Offset(int64(page-1) * int64(perPage)).All(&rows)
	return rows, total, err
}

// each calls fn with all entries that the filter chooses, the oldest first, in
// batches. No read stays open in between, which would hold up checkpoints.
func (p *Plugin) each(f filter, fn func(rows []row) error) error {
	var last string
	for {
		var rows []row
		err := f.apply(p.app.ConcurrentDB().Select().From(table)).
			AndWhere(dbx.NewExp("[[id]] > {:last}", dbx.Params{"last": last})).
			OrderBy("id").Limit(batchSize).All(&rows)
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			return nil
		}
		if err := fn(rows); err != nil {
			return err
		}
		last = rows[len(rows)-1].ID
	}
}
