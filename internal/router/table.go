package router

import (
	"encoding/hex"
	"fmt"
	"hash/maphash"
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/picobase/picobase/internal/routes"
)

// shardCount keeps a change of one name cheap in a table of many: it copies the
// names of one shard.
const shardCount = 256

// Table is which host belongs to which project. Looking up takes no lock: readers
// see immutable maps that writers replace.
type Table struct {
	logger *slog.Logger
	seed   maphash.Seed
	shards [shardCount]atomic.Pointer[map[string]*project]
	names  atomic.Int64
	loaded atomic.Bool

	mu       sync.Mutex // of writers
	projects map[string]*project
	staged   map[string]routes.Route // between begin and end, else nil
}

// NewTable returns an empty table. It logs what it cannot use.
func NewTable(logger *slog.Logger) *Table {
	t := &Table{logger: logger, seed: maphash.MakeSeed(), projects: map[string]*project{}}
	for i := range t.shards {
		t.shards[i].Store(&map[string]*project{})
	}
	return t
}

// Loaded reports whether the table was complete once.
func (t *Table) Loaded() bool { return t.loaded.Load() }

// Apply does what a message says. The whole table between a begin and its end
// takes effect at its end; until then the old one stays.
func (t *Table) Apply(m routes.Message) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch m.Op {
	case routes.Begin:
		t.staged = map[string]routes.Route{}
	case routes.End:
		if t.staged != nil {
			t.replace(t.staged)
			t.staged = nil
			t.loaded.Store(true)
		}
	case routes.Put:
		switch {
		case m.Route == nil || m.Route.Project == "":
			t.logger.Warn("a route without a project was ignored")
		case t.staged != nil:
			t.staged[m.Route.Project] = *m.Route
		default:
			t.put(*m.Route)
		}
	case routes.Remove:
		switch {
		case m.Route == nil:
		case t.staged != nil:
			delete(t.staged, m.Route.Project)
		default:
			t.remove(m.Route.Project)
		}
	case routes.Ping:
	default:
		t.logger.Warn("a message of an unknown kind was ignored: is the platform newer than this router?", "op", m.Op)
	}
}

func (t *Table) resolve(host string) *project { return (*t.shards[t.shard(host)].Load())[host] }

func (t *Table) size() int { return int(t.names.Load()) }

func (t *Table) shard(host string) int { return int(maphash.String(t.seed, host) % shardCount) }

func (t *Table) put(route routes.Route) {
	p := t.projects[route.Project]
	if p == nil {
		p = &project{id: route.Project}
		t.projects[p.id] = p
	}
	hosts := t.normalHosts(route)
	if !slices.Equal(hosts, p.hosts) {
		t.changeHosts(p, hosts)
	}
	p.move(newPlace(route, p.place.Load(), t.logger))
}

func (t *Table) remove(id string) {
	p := t.projects[id]
	if p == nil {
		return
	}
	delete(t.projects, id)
	t.changeHosts(p, nil)
	p.move(gone)
}

// changeHosts gives the project other names. A name that another project has is
// moved, since of two changes at once the later one may come first.
func (t *Table) changeHosts(p *project, hosts []string) {
	changed := map[int]map[string]*project{}
	edit := func(host string) map[string]*project {
		i := t.shard(host)
		if changed[i] == nil {
			changed[i] = maps.Clone(*t.shards[i].Load())
		}
		return changed[i]
	}
	for _, host := range p.hosts {
		if names := edit(host); names[host] == p && !slices.Contains(hosts, host) {
			delete(names, host)
			t.names.Add(-1)
		}
	}
	for _, host := range hosts {
		names := edit(host)
		if names[host] == nil {
			t.names.Add(1)
		}
		names[host] = p
	}
	p.hosts = hosts
	for i, names := range changed {
		t.shards[i].Store(&names)
	}
}

// replace makes the routes the whole table.
func (t *Table) replace(all map[string]routes.Route) {
	for id, p := range t.projects {
		if _, ok := all[id]; !ok {
			delete(t.projects, id)
			p.move(gone)
		}
	}
	var shards [shardCount]map[string]*project
	for i := range shards {
		shards[i] = make(map[string]*project, len(all)/shardCount)
	}
	names := 0
	for id, route := range all {
		p := t.projects[id]
		if p == nil {
			p = &project{id: id}
			t.projects[id] = p
		}
		p.hosts = t.normalHosts(route)
		for _, host := range p.hosts {
			shard := shards[t.shard(host)]
			if other := shard[host]; other != nil {
				t.logger.Error("two projects have one name: one of them is not reachable by it", "host", host, "project", id, "other", other.id)
				continue
			}
			shard[host] = p
			names++
		}
		p.move(newPlace(route, p.place.Load(), t.logger))
	}
	for i := range shards {
		t.shards[i].Store(&shards[i])
	}
	t.names.Store(int64(names))
}

func (t *Table) normalHosts(route routes.Route) []string {
	hosts := make([]string, 0, len(route.Hosts))
	for _, host := range route.Hosts {
		normal, ok := ownHost(host)
		if !ok {
			t.logger.Error("a name that is no host name was ignored", "project", route.Project, "host", host)
			continue
		}
		if !slices.Contains(hosts, normal) {
			hosts = append(hosts, normal)
		}
	}
	return hosts
}

// ownHost is NormalHost for names in a table, where IPv6 addresses have no brackets.
func ownHost(host string) (string, bool) {
	if strings.Count(host, ":") > 1 && !strings.HasPrefix(host, "[") {
		host = "[" + host + "]"
	}
	return NormalHost(host)
}

// project is what the router knows of one project, for as long as it is in the table.
type project struct {
	id      string
	hosts   []string // the table's writers' alone
	place   atomic.Pointer[place]
	traffic atomic.Pointer[traffic] // nil until its first request
}

// use returns the project's traffic.
func (p *project) use(limits *Limits) *traffic {
	if t := p.traffic.Load(); t != nil {
		return t
	}
	p.traffic.CompareAndSwap(nil, newTraffic(p.id, limits))
	return p.traffic.Load()
}

// move changes where the project is. Who waits for it to wake need not wait on.
func (p *project) move(to *place) {
	p.place.Store(to)
	if t := p.traffic.Load(); t != nil && to.state != routes.Asleep {
		t.moved()
	}
}

// place is where a project is. It never changes.
type place struct {
	state   routes.State
	scheme  string // of the URL, while it runs
	target  string // the URL's host and port, or unixHost of a socket
	message string
	woke    time.Time // when this router saw it come to run; zero for at its own start
}

var (
	asleep = &place{state: routes.Asleep}
	gone   = &place{state: "gone"}
)

// newPlace reads a route. Before is where the project was, nil for a new one.
func newPlace(route routes.Route, before *place, logger *slog.Logger) *place {
	switch route.State {
	case routes.Asleep:
		return asleep
	case routes.Off, routes.Parked:
		return &place{state: route.State, message: route.Message}
	case routes.Running:
		scheme, target, err := parseUpstream(route.URL)
		if err == nil {
			next := &place{state: routes.Running, scheme: scheme, target: target}
			switch {
			case before == nil:
			case before.state != routes.Running:
				next.woke = time.Now()
			case before.target == target && before.scheme == scheme:
				return before
			default:
				next.woke = before.woke
			}
			return next
		}
		logger.Error("a route was not understood", "project", route.Project, "error", err)
	default:
		logger.Error("a route has an unknown state", "project", route.Project, "state", route.State)
	}
	return &place{state: routes.Parked, message: "The router does not understand where the project is."}
}

// unixSuffix marks hosts that stand for a socket. No name ends with it: it begins
// with a dot and has a character that names cannot have.
const unixSuffix = ".!unix"

// parseUpstream returns the scheme and the host to dial of http://host:port or
// unix:///path.
func parseUpstream(text string) (scheme, target string, err error) {
	parsed, err := url.Parse(text)
	switch {
	case err != nil:
		return "", "", fmt.Errorf("%q is no URL", text)
	case parsed.Scheme == "unix" && parsed.Host == "" && len(parsed.Path) > 1 && parsed.Path[0] == '/':
		return "http", hex.EncodeToString([]byte(parsed.Path)) + unixSuffix, nil
	case (parsed.Scheme != "http" && parsed.Scheme != "https") || parsed.Host == "" || parsed.User != nil ||
		strings.Trim(parsed.Path, "/") != "" || parsed.RawQuery != "" || strings.HasSuffix(parsed.Host, unixSuffix):
		return "", "", fmt.Errorf("%q is neither http://host:port nor unix:///path", text)
	}
	return parsed.Scheme, parsed.Host, nil
}
