package router

import (
	"errors"
	"fmt"
	"strings"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/picobase/picobase/internal/routes"
)

// remembered is of how many projects a Pattern counts what is open. Anybody can
// make names up, so it is bounded.
const remembered = 20_000

// Pattern finds projects without a table: NAME.base-domain is at a URL that has
// the name in it, as in a container platform's private DNS.
type Pattern struct {
	suffix   string
	before   string
	after    string
	projects *lru.Cache[string, *project]
}

// placeholder is what stands for the name in the URL of a pattern.
const placeholder = "{project}"

// NewPattern returns the resolver for names below baseDomain, at upstream:
// 'http://{project}.internal:8090'.
func NewPattern(upstream, baseDomain string) (*Pattern, error) {
	base, ok := NormalHost(baseDomain)
	if !ok {
		return nil, fmt.Errorf("the base domain %q is no host name", baseDomain)
	}
	before, after, found := strings.Cut(upstream, placeholder)
	if !found || strings.Contains(after, placeholder) {
		return nil, fmt.Errorf("%q must have %s in it, once", upstream, placeholder)
	}
	if _, _, err := parseUpstream(before + "name" + after); err != nil {
		return nil, err
	}
	projects, err := lru.New[string, *project](remembered)
	return &Pattern{suffix: "." + base, before: before, after: after, projects: projects}, err
}

func (p *Pattern) size() int { return p.projects.Len() }

func (p *Pattern) resolve(host string) *project {
	name, ok := strings.CutSuffix(host, p.suffix)
	if !ok || checkLabel(name) != nil {
		return nil
	}
	if known, ok := p.projects.Get(name); ok {
		return known
	}
	found := &project{id: name}
	scheme, target, err := parseUpstream(p.before + name + p.after)
	if err != nil {
		return nil
	}
	found.place.Store(&place{state: routes.Running, scheme: scheme, target: target})
	if present, ok, _ := p.projects.PeekOrAdd(name, found); ok {
		return present
	}
	return found
}

var errLabel = errors.New("not one label of a host name")

// checkLabel lets nothing into the URL of a pattern that could change its meaning.
func checkLabel(name string) error {
	if name == "" || len(name) > 63 || name[0] == '-' || name[len(name)-1] == '-' ||
		strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return errLabel
	}
	return nil
}
