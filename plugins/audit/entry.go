package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/types"
)

// KindSystem is the kind of the actor when nobody acts: crons, start-up,
// consequences of other changes. The other kinds are those of httpapi.Caller.
const KindSystem = "system"

const maxUserAgent = 300

// Actor is who did something.
type Actor struct {
	Kind string `json:"kind"`
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Entry is one thing that was done.
type Entry struct {
	// Action is what was done, as target.verb: "key.created".
	Action string

	// TargetType, TargetID and TargetName say to what: "key", its id, its label.
	TargetType, TargetID, TargetName string

	// Before and After are the target as JSON objects, or nil. Secrets in them
	// are masked. When both are given, only the members that differ are kept;
	// without any, the entry is dropped as no change.
	Before, After any
}

// origin is who acts, and from where.
type origin struct {
	Actor
	ip, userAgent, requestID string
}

func originOf(e *core.RequestEvent) origin {
	caller := httpapi.CallerOf(e)
	o := origin{
		Actor:     Actor{Kind: string(caller.Kind), ID: caller.ID, Name: caller.Name},
		requestID: httpapi.StateOf(e).RequestID,
	}
	if caller.Kind != httpapi.CallerCommandLine { // which has no address
		o.ip = e.RealIP()
		o.userAgent = cut(e.Request.UserAgent(), maxUserAgent)
	}
	return o
}

// origin returns who acts in app on behalf of e. When e is nil, it is the
// request of app's transaction and, without one, the default actor.
func (p *Plugin) origin(app core.App, e *core.RequestEvent) origin {
	if e == nil {
		e = p.requestOf(app)
	}
	if e == nil {
		return origin{Actor: p.cfg.DefaultActor()}
	}
	return originOf(e)
}

// Record adds an entry to the trail, in the transaction of app when it is in
// one. The request e may be nil. Models that are caught by themselves need no Record.
func (p *Plugin) Record(app core.App, e *core.RequestEvent, entry Entry) error {
	return p.record(app, p.origin(app, e), entry)
}

func (p *Plugin) record(app core.App, by origin, entry Entry) error {
	if !p.ready(app) {
		return nil
	}
	before, err := toJSON(entry.Before)
	if err != nil {
		return fmt.Errorf("audit: %s: %w", entry.Action, err)
	}
	after, err := toJSON(entry.After)
	if err != nil {
		return fmt.Errorf("audit: %s: %w", entry.Action, err)
	}
	if before != nil && after != nil {
		var differ bool
		if before, after, differ = diff(before, after); !differ {
			return nil
		}
	}
	before, after = mask(before, after)
	if err := insert(app, by, entry, before, after); err != nil {
		return fmt.Errorf("audit: record %s: %w", entry.Action, err)
	}
	return nil
}

func insert(app core.App, by origin, entry Entry, before, after any) error {
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	r := row{
		ID:         id.String(),
		Created:    time.Now().UTC().Format(types.DefaultDateLayout),
		ActorKind:  by.Kind,
		ActorID:    by.ID,
		ActorName:  by.Name,
		IP:         by.ip,
		UserAgent:  by.userAgent,
		RequestID:  by.requestID,
		Action:     entry.Action,
		TargetType: entry.TargetType,
		TargetID:   entry.TargetID,
		TargetName: entry.TargetName,
	}
	if r.Before, err = column(before); err != nil {
		return err
	}
	if r.After, err = column(after); err != nil {
		return err
	}
	return r.insert(app)
}

// column encodes one side of a change, NULL when there is none.
func column(side any) (*string, error) {
	if side == nil {
		return nil, nil
	}
	encoded, err := json.Marshal(side)
	if err != nil {
		return nil, err
	}
	text := string(encoded)
	return &text, nil
}

// toJSON turns v into maps, slices and scalars, with numbers as they are written.
func toJSON(v any) (any, error) {
	if v == nil {
		return nil, nil
	}
	encoded, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return decodeJSON(encoded)
}

func decodeJSON(encoded []byte) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(encoded))
	decoder.UseNumber()
	var v any
	err := decoder.Decode(&v)
	return v, err
}
