package webhooks

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/picobase/picobase/internal/event"
	"github.com/picobase/picobase/migrations"
	"github.com/pocketbase/pocketbase/core"
)

// maxEndpoints bounds what one event can cause, and with it the concurrency.
const maxEndpoints = 50

// snapshot is all endpoints at one moment. It is never changed: reload replaces
// it, so that Wants needs no lock.
type snapshot struct {
	byID    map[string]*endpoint
	byType  map[string][]target // of enabled endpoints
	version string
}

// target is an endpoint that wants a type of event, of one collection or all ("").
type target struct {
	endpoint   *endpoint
	collection string
}

// endpoint is one as the outbox and the dispatcher need it.
type endpoint struct {
	id, url        string
	events         []string
	blocking       bool
	failOpen       bool
	secret         string
	previous       string // also signs until previousUntil
	previousUntil  time.Time
	disabled       time.Time // zero while it is enabled
	disabledReason string
	asking         chan struct{} // the places for questions to it
}

// The reasons why an endpoint is disabled.
const (
	reasonManual  = "manual"
	reasonGone    = "gone"    // it answered 410
	reasonFailing = "failing" // the last retry failed, and nothing else arrived
	reasonBranch  = "branch"  // it is of the project that this one is a copy of
)

func (s *snapshot) wants(eventType, collection string) bool {
	for _, t := range s.byType[eventType] {
		if t.collection == "" || t.collection == collection {
			return true
		}
	}
	return false
}

// targets returns the endpoints that want an event, each once.
func (s *snapshot) targets(eventType, collection string) (found []*endpoint) {
	for _, t := range s.byType[eventType] {
		if (t.collection == "" || t.collection == collection) && !slices.Contains(found, t.endpoint) {
			found = append(found, t.endpoint)
		}
	}
	return found
}

// subscription is an entry of an endpoint's events, such as user.created,
// record.*:posts or before user.created:customers.
type subscription struct {
	types      []string
	collection string
}

func parseSubscription(text string) (subscription, error) {
	name, collection, named := strings.Cut(text, ":")
	s := subscription{collection: collection}
	if named && !validCollection(collection) {
		return s, fmt.Errorf("%q does not name a collection; write it as record.created:posts", text)
	}
	prefix, wild := strings.CutSuffix(name, ".*")
	for _, known := range append(event.Types(), event.Questions()...) {
		if known == name || wild && strings.HasPrefix(known, prefix+".") {
			s.types = append(s.types, known)
		}
	}
	if len(s.types) == 0 {
		return s, fmt.Errorf("%q is no type of event; the types are %s, user.*, record.* and, for blocking endpoints, %s",
			text, strings.Join(event.Types(), ", "), strings.Join(event.Questions(), ", "))
	}
	return s, nil
}

func validCollection(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}

// isQuestion reports whether the subscription is for a blocking endpoint.
func (s subscription) isQuestion() bool { return slices.Contains(event.Questions(), s.types[0]) }

// reload replaces the snapshot by what the database holds.
func (p *Plugin) reload() error {
	// One at a time, or a slower one would put an older state back.
	p.loading.Lock()
	defer p.loading.Unlock()
	version, err := p.version()
	if err != nil {
		return err
	}
	var records []*core.Record
	if err := p.app.RecordQuery(migrations.WebhooksCollection).OrderBy("created", "id").All(&records); err != nil {
		return fmt.Errorf("read webhook endpoints: %w", err)
	}
	last := p.endpoints.Load()
	next := &snapshot{byID: map[string]*endpoint{}, byType: map[string][]target{}, version: version}
	for _, record := range records {
		ep := p.endpointOf(record)
		if old := last.byID[ep.id]; old == nil {
			ep.asking = make(chan struct{}, maxAsking)
		} else {
			ep.asking = old.asking
			if old.url != ep.url || !old.disabled.IsZero() && ep.disabled.IsZero() {
				p.dispatch.release(ep.id) // another receiver, or one that was mended
			}
		}
		next.byID[ep.id] = ep
		if ep.disabled.IsZero() {
			p.subscribe(next, ep)
		}
	}
	p.endpoints.Store(next)
	p.dispatch.wake()
	return nil
}

func (p *Plugin) subscribe(s *snapshot, ep *endpoint) {
	for _, text := range ep.events {
		parsed, err := parseSubscription(text)
		if err != nil || parsed.isQuestion() != ep.blocking {
			// Written past the API. One bad entry must not stop all others.
			p.app.Logger().Error("subscription of a webhook ignored", "webhook", ep.id, "event", text)
			continue
		}
		for _, eventType := range parsed.types {
			s.byType[eventType] = append(s.byType[eventType], target{ep, parsed.collection})
		}
	}
}

func (p *Plugin) endpointOf(record *core.Record) *endpoint {
	ep := &endpoint{
		id: record.Id, url: record.GetString("url"),
		blocking: record.GetBool("blocking"), failOpen: record.GetBool("failOpen"),
		secret: p.unseal(record.GetString("secret")), previous: p.unseal(record.GetString("previousSecret")),
		previousUntil: record.GetDateTime("previousSecretUntil").Time(),
		disabled:      record.GetDateTime("disabled").Time(), disabledReason: record.GetString("disabledReason"),
	}
	_ = record.UnmarshalJSONField("events", &ep.events) // none, if it is not a list
	return ep
}

// version changes whenever an endpoint does, whichever process changed it.
func (p *Plugin) version() (version string, err error) {
	err = p.app.ConcurrentDB().Select("COUNT(*) || ' ' || COALESCE(MAX(updated), '')").
		From(migrations.WebhooksCollection).Row(&version)
	if err != nil {
		return "", fmt.Errorf("read version of webhook endpoints: %w", err)
	}
	return version, nil
}

// disable disables an endpoint and tells the operator.
func (p *Plugin) disable(ep *endpoint, reason, why string) {
	record, err := p.app.FindRecordById(migrations.WebhooksCollection, ep.id)
	if err != nil || !record.GetDateTime("disabled").IsZero() || record.GetString("url") != ep.url {
		return // deleted, disabled or sent elsewhere meanwhile
	}
	record.Set("disabled", p.cfg.Now())
	record.Set("disabledReason", reason)
	if err := p.app.Save(record); err != nil {
		p.app.Logger().Error("disable a webhook", "webhook", ep.id, "error", err)
		return
	}
	p.app.Logger().Error("webhook disabled", "webhook", ep.id, "host", ep.host(), "reason", reason, "cause", why)
}

// host returns the part of the URL that is no secret: paths of webhooks often are.
func (ep *endpoint) host() string {
	parsed, err := url.Parse(ep.url)
	if err != nil {
		return ""
	}
	return parsed.Host
}
