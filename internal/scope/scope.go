// Package scope says what a secret API key may do.
//
// A scope is written resource[:action[:collection]], for example
// records:read:posts, schema:write or backups. "*" stands for everything that
// a key can ever do.
//
//	set, err := scope.Parse([]string{"records:read", "usage"})
//	set.Allows(scope.RecordsRead, "posts") // true
package scope

import (
	"fmt"
	"slices"
	"strings"
)

// The scopes that routes ask for.
const (
	RecordsRead  = "records:read"
	RecordsWrite = "records:write"
	SchemaRead   = "schema:read"
	SchemaWrite  = "schema:write"
	Files        = "files"
	Backups      = "backups"
	Hooks        = "hooks"
	Webhooks     = "webhooks"
	Logs         = "logs"
	Usage        = "usage"
	Settings     = "settings"
	Keys         = "keys"
)

// Everything is the scope that covers all others.
const Everything = "*"

// Default is what a secret key gets when no scope is named: it reads and
// writes every record.
const Default = "records:*"

// known lists every scope that can be granted, without collections.
var known = []string{
	RecordsRead, RecordsWrite, "records:*",
	SchemaRead, SchemaWrite, "schema:*",
	Files, Backups, Hooks, Webhooks, Logs, Usage, Settings, Keys, Everything,
}

// Set is the parsed scopes of one key. The zero Set allows nothing.
type Set struct {
	grants []grant
	names  []string
}

type grant struct {
	name       string // resource or resource:action; the action may be "*"
	collection string // "" for all
}

// Parse checks and parses the scopes of a key. Duplicates are dropped.
func Parse(names []string) (Set, error) {
	var set Set
	for _, name := range names {
		g, err := parse(name)
		if err != nil {
			return Set{}, err
		}
		if slices.Contains(set.names, name) {
			continue
		}
		set.grants = append(set.grants, g)
		set.names = append(set.names, name)
	}
	return set, nil
}

func parse(name string) (grant, error) {
	g := grant{name: name}
	if parts := strings.SplitN(name, ":", 3); len(parts) == 3 && parts[0] == "records" {
		g = grant{name: parts[0] + ":" + parts[1], collection: parts[2]}
		if !validCollection(g.collection) {
			return grant{}, fmt.Errorf("%q does not name a collection; write it as records:read:posts", name)
		}
	}
	if !slices.Contains(known, g.name) {
		return grant{}, fmt.Errorf("%q is not a scope; the scopes are %s and, for one collection, records:read:NAME or records:write:NAME",
			name, strings.Join(known, ", "))
	}
	return g, nil
}

func validCollection(name string) bool {
	if name == "" || name == "*" {
		return false
	}
	for _, r := range name {
		if r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
			return false
		}
	}
	return true
}

// Strings returns the scopes as they were written.
func (s Set) Strings() []string { return slices.Clone(s.names) }

// Allows reports whether the set grants the scope want. For the records scopes,
// collections are the names by which the one asked for is known (its name, its
// id); without any, the grant must cover all collections.
func (s Set) Allows(want string, collections ...string) bool {
	for _, g := range s.grants {
		if !g.covers(want) {
			continue
		}
		if g.collection == "" || slices.Contains(collections, g.collection) {
			return true
		}
	}
	return false
}

// AllowsSome reports whether the set grants want for at least one collection.
func (s Set) AllowsSome(want string) bool {
	return slices.ContainsFunc(s.grants, func(g grant) bool { return g.covers(want) })
}

func (g grant) covers(want string) bool {
	if g.name == Everything || g.name == want {
		return true
	}
	resource, isWild := strings.CutSuffix(g.name, ":*")
	return isWild && strings.HasPrefix(want, resource+":")
}

// Contains reports whether every grant of other is covered by s, so that a key
// can never make another key stronger than itself.
func (s Set) Contains(other Set) bool {
	for _, g := range other.grants {
		if !s.containsGrant(g) {
			return false
		}
	}
	return true
}

func (s Set) containsGrant(g grant) bool {
	// A wildcard grant is the sum of its actions; "*" only "*" itself covers.
	if resource, isWild := strings.CutSuffix(g.name, ":*"); isWild && g.name != Everything {
		return s.containsGrant(grant{resource + ":read", g.collection}) &&
			s.containsGrant(grant{resource + ":write", g.collection})
	}
	return slices.ContainsFunc(s.grants, func(own grant) bool {
		return own.covers(g.name) && (own.collection == "" || own.collection == g.collection)
	})
}
