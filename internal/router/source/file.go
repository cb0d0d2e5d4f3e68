package source

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/picobase/picobase/internal/routes"
)

const (
	// settle is how long a file has to stay as it is before it is read.
	settle = 100 * time.Millisecond

	// look is how often the file is read without having been told of a change, for
	// file systems that tell nothing.
	look = 30 * time.Second
)

// File is a table in a file, read again whenever it changes:
//
//	{"routes": [{"project": "shop", "hosts": ["shop.example.com"], "url": "http://127.0.0.1:8090"}]}
type File struct {
	path   string
	logger *slog.Logger
	check  Check
	last   []byte
}

// Check refuses a route that the table would not understand.
type Check func(route routes.Route) error

// NewFile returns the source, and an error if there is no good table to begin with.
func NewFile(path string, check Check, logger *slog.Logger) (*File, error) {
	f := &File{path: path, check: check, logger: logger}
	_, _, err := f.read()
	return f, err
}

var _ Source = (*File)(nil)

// Run implements [Source].
func (f *File) Run(ctx context.Context, table Table) {
	f.load(table)
	changes, closeWatcher := f.watch()
	defer closeWatcher()
	timer := time.NewTimer(look)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-changes:
			timer.Reset(settle)
		case <-timer.C:
			f.load(table)
			timer.Reset(look)
		}
	}
}

// watch tells of changes in the file's folder: editors and orchestrators put
// another file, or a link, into its place.
func (f *File) watch() (changes <-chan fsnotify.Event, closeWatcher func()) {
	watcher, err := fsnotify.NewWatcher()
	if err == nil {
		if err = watcher.Add(filepath.Dir(f.path)); err == nil {
			go func() {
				for err := range watcher.Errors {
					f.logger.Warn("watching the routes", "file", f.path, "error", err)
				}
			}()
			return watcher.Events, func() { _ = watcher.Close() }
		}
		_ = watcher.Close()
	}
	f.logger.Warn("changes of the routes are not told, so the file is read now and then", "file", f.path, "every", look, "error", err)
	return nil, func() {}
}

// load gives the table what the file says. A file that is not good changes nothing.
func (f *File) load(table Table) {
	content, all, err := f.read()
	if err != nil {
		f.logger.Error("the routes are not good, so the table stays as it is", "file", f.path, "error", err)
		return
	}
	if f.last != nil && bytes.Equal(content, f.last) {
		return
	}
	f.last = content
	table.Apply(routes.Message{Op: routes.Begin})
	for _, route := range all {
		table.Apply(routes.Message{Op: routes.Put, Route: &route})
	}
	table.Apply(routes.Message{Op: routes.End})
	f.logger.Info("routes loaded", "file", f.path, "projects", len(all))
}

func (f *File) read() (content []byte, all []routes.Route, err error) {
	content, err = os.ReadFile(f.path)
	if err != nil {
		return nil, nil, err
	}
	all, err = parse(content, f.check)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", f.path, err)
	}
	return content, all, nil
}

func parse(content []byte, check Check) ([]routes.Route, error) {
	var file struct {
		Routes []routes.Route `json:"routes"`
	}
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&file); err != nil {
		return nil, describe(content, err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is something after the object")
	}
	if file.Routes == nil {
		return nil, errors.New(`there is no "routes"; an empty table is {"routes": []}`)
	}
	projects, owners := map[string]bool{}, map[string]string{}
	for i := range file.Routes {
		route := &file.Routes[i]
		if route.State == "" {
			route.State = routes.Running
		}
		if err := check(*route); err != nil {
			return nil, fmt.Errorf("route %d (%s): %w", i+1, route.Project, err)
		}
		if projects[route.Project] {
			return nil, fmt.Errorf("route %d: there are two of the project %s", i+1, route.Project)
		}
		projects[route.Project] = true
		for _, host := range route.Hosts {
			if other, ok := owners[host]; ok {
				return nil, fmt.Errorf("route %d: %s is of %s already", i+1, host, other)
			}
			owners[host] = route.Project
		}
	}
	return file.Routes, nil
}

// describe says in which line the JSON is broken.
func describe(content []byte, err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("line %d: %w", bytes.Count(content[:min(syntax.Offset, int64(len(content)))], []byte("\n"))+1, err)
	}
	return err
}
