package apikeys

import (
	"context"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"
	"time"

	"github.com/picobase/picobase/internal/apikey"
	"github.com/picobase/picobase/internal/config"
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/picobase/picobase/internal/scope"
	"github.com/picobase/picobase/migrations"
	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/types"
)

// snapshot is every key of the tenant at one moment. It is never changed:
// reload replaces it, so that checks need no lock.
type snapshot struct {
	byHash  map[apikey.Hash]*entry
	byID    map[string]*entry
	version string
}

// entry is one key as the gate needs it.
type entry struct {
	identity httpapi.Key
	hash     apikey.Hash
	expires  time.Time // zero: never
	revoked  bool
	allowed  []netip.Prefix // empty: everywhere
}

// find returns the entry of a key, or nil.
func (s *snapshot) find(sum apikey.Hash) *entry {
	found := s.byHash[sum]
	if found == nil || subtle.ConstantTimeCompare(found.hash[:], sum[:]) != 1 {
		return nil
	}
	return found
}

func (k *entry) isExpired(now time.Time) bool { return !k.expires.IsZero() && !now.Before(k.expires) }

func (k *entry) allows(addr netip.Addr) bool {
	for _, prefix := range k.allowed {
		if prefix.Contains(addr) {
			return true
		}
	}
	return len(k.allowed) == 0
}

// covers reports whether the key may be used from all of the network.
func (k *entry) covers(network netip.Prefix) bool {
	for _, prefix := range k.allowed {
		if prefix.Bits() <= network.Bits() && prefix.Contains(network.Addr()) {
			return true
		}
	}
	return len(k.allowed) == 0
}

// keyRow is a line of the keys' table.
type keyRow struct {
	ID         string                  `db:"id"`
	Kind       string                  `db:"kind"`
	Hash       string                  `db:"hash"`
	Label      string                  `db:"label"`
	Scopes     types.JSONArray[string] `db:"scopes"`
	AllowedIPs types.JSONArray[string] `db:"allowedIPs"`
	RateLimit  types.JSONRaw           `db:"rateLimit"`
	Expires    types.DateTime          `db:"expires"`
	Revoked    types.DateTime          `db:"revoked"`
}

// reload replaces the snapshot by what the database holds, and ends the
// realtime connections of keys that may no longer be used.
func (p *Plugin) reload() error {
	// One at a time, or a slower one would put an older state back.
	p.loading.Lock()
	defer p.loading.Unlock()
	version, err := p.version()
	if err != nil {
		return err
	}
	var rows []keyRow
	if err := p.app.ConcurrentDB().Select("*").From(migrations.KeysCollection).All(&rows); err != nil {
		return fmt.Errorf("read API keys: %w", err)
	}
	next := &snapshot{
		byHash:  make(map[apikey.Hash]*entry, len(rows)),
		byID:    make(map[string]*entry, len(rows)),
		version: version,
	}
	for _, row := range rows {
		key, err := row.entry()
		if err != nil {
			// One damaged row must not lock everybody out.
			p.app.Logger().Error("API key ignored", "id", row.ID, "error", err)
			continue
		}
		next.byHash[key.hash] = key
		next.byID[key.identity.ID] = key
	}
	p.keys.Store(next)
	p.dropStreams()
	return nil
}

func (r keyRow) entry() (*entry, error) {
	key := &entry{
		identity: httpapi.Key{ID: r.ID, Label: r.Label, Secret: Kind(r.Kind) == Secret},
		expires:  r.Expires.Time(),
		revoked:  !r.Revoked.IsZero(),
	}
	if n, err := hex.Decode(key.hash[:], []byte(r.Hash)); err != nil || n != len(key.hash) {
		return nil, fmt.Errorf("hash is not %d hex bytes", len(key.hash))
	}
	var err error
	if key.identity.Scopes, err = scope.Parse(r.Scopes); err != nil {
		return nil, err
	}
	for _, text := range r.AllowedIPs {
		prefix, err := config.ParsePrefix(text)
		if err != nil {
			return nil, err
		}
		key.allowed = append(key.allowed, prefix)
	}
	if len(r.RateLimit) > 0 && string(r.RateLimit) != "null" {
		if err := json.Unmarshal(r.RateLimit, &key.identity.RateLimit); err != nil {
			return nil, fmt.Errorf("rate limit: %w", err)
		}
	}
	return key, nil
}

// version changes whenever a key does, whichever process changed it.
func (p *Plugin) version() (string, error) {
	var version string
	err := p.app.ConcurrentDB().
		Select("COUNT(*) || ' ' || COALESCE(MAX(updated), '')").
		From(migrations.KeysCollection).Row(&version)
	if err != nil {
		return "", fmt.Errorf("read version of API keys: %w", err)
	}
	return version, nil
}

// poll reads the keys again if another process changed them, and ends the
// streams of keys that have expired since the last time.
func (p *Plugin) poll(context.Context) error {
	version, err := p.version()
	if err != nil {
		return err
	}
	if version != p.keys.Load().version {
		return p.reload()
	}
	p.dropStreams()
	return nil
}

// dropStreams ends every realtime connection whose key may no longer be used.
// The client reconnects by itself and is then refused like any other request.
func (p *Plugin) dropStreams() {
	broker := p.app.SubscriptionsBroker()
	if broker.TotalClients() == 0 {
		return
	}
	keys, now := p.keys.Load(), p.cfg.Now()
	for id, client := range broker.Clients() {
		keyID, _ := client.Get(streamKey).(string)
		if keyID == "" {
			continue
		}
		key := keys.byID[keyID]
		ip, _ := client.Get(apis.RealtimeClientIPKey).(string)
		if key == nil || key.revoked || key.isExpired(now) || !key.allows(parseAddr(ip)) {
			broker.Unregister(id)
		}
	}
}

func parseAddr(text string) netip.Addr {
	addr, _ := netip.ParseAddr(text)
	return addr.Unmap().WithZone("")
}

// Touch stores when keys were last used. It writes past the model hooks: use is
// no change of the key, and must neither be audited nor reload anything.
func (p *Plugin) Touch(lastUsed map[string]time.Time) error {
	if len(lastUsed) == 0 {
		return nil
	}
	return p.app.RunInTransaction(func(tx core.App) error {
		for id, when := range lastUsed {
			stamp, err := types.ParseDateTime(when)
			if err != nil {
				return err
			}
			// A minute's precision is enough to find unused keys, and spares the
			// disk and its replica a write every flush.
			stale, err := types.ParseDateTime(when.Add(-time.Minute))
			if err != nil {
				return err
			}
			_, err = tx.NonconcurrentDB().Update(migrations.KeysCollection, dbx.Params{"lastUsed": stamp},
				dbx.NewExp("id = {:id} AND lastUsed < {:stale}", dbx.Params{"id": id, "stale": stale})).Execute()
			if err != nil {
				return fmt.Errorf("store last use of API keys: %w", err)
			}
		}
		return nil
	})
}
