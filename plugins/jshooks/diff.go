package jshooks

import (
	"errors"
	"maps"
	"net/http"
	"slices"

	"github.com/aymanbagabas/go-udiff"
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/picobase/picobase/plugins/jshooks/engine"
	"github.com/pocketbase/pocketbase/core"
)

// versionDiff is what a change from one version to another changes.
type versionDiff struct {
	From  string     `json:"from"`
	To    string     `json:"to"`
	Files []fileDiff `json:"files"`
}

type fileDiff struct {
	Path   string `json:"path"`
	Change string `json:"change"` // added, removed or changed
	Diff   string `json:"diff"`   // unified
}

func (p *Plugin) diff(e *core.RequestEvent) error {
	q, err := httpapi.ParseQuery(e.Request.URL.RawQuery, "to")
	if err != nil {
		return failure(err)
	}
	from, before, err := p.withFiles(e.Request.PathValue("version"))
	if err != nil {
		return failure(err)
	}
	target := q.Get("to")
	if target == "" {
		active, err := findVersion(p.app, "active = 1", nil)
		if errors.Is(err, errNotFound) {
			err = errNothingActive
		}
		if err != nil {
			return failure(err)
		}
		target = active.ID
	}
	to, after, err := p.withFiles(target)
	if err != nil {
		return failure(err)
	}
	return e.JSON(http.StatusOK, versionDiff{From: from.ID, To: to.ID, Files: diffFiles(before, after)})
}

// diffFiles compares two bundles file by file; what is the same is left out.
func diffFiles(before, after engine.Bundle) []fileDiff {
	names := slices.Sorted(maps.Keys(before))
	for name := range after {
		if _, ok := before[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	diffs := []fileDiff{}
	for _, name := range names {
		old, was := before[name]
		text, is := after[name]
		change, oldName, newName := "changed", "a/"+name, "b/"+name
		switch {
		case !was:
			change, oldName = "added", "/dev/null"
		case !is:
			change, newName = "removed", "/dev/null"
		case string(old) == string(text):
			continue
		}
		diffs = append(diffs, fileDiff{name, change, udiff.Unified(oldName, newName, string(old), string(text))})
	}
	return diffs
}
