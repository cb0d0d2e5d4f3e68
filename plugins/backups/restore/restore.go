// Package restore puts another state of a data folder in the place of the
// present one, in a way that a kill at any moment does not harm: the new state
// is made aside, while the old one is served, and an order to put it in place is
// left for the next start, which carries it out before it opens a database.
//
// What came after the restored moment and must not be undone is carried over,
// see keep.go. It does not know where the new state comes from.
//
//	area, err := restore.Begin(dataDir)
//	// fill area.New(), then:
//	err = area.Commit(restore.Order{ID: id})
//	// the process starts anew, and:
//	done, err := restore.Carry(ctx, dataDir)
package restore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Folder is what PicoBase keeps in a data folder beside PocketBase's files. It
// is left out of backups, and restores leave it alone.
const Folder = ".pico"

// Status of a restore.
type Status string

// The statuses, in their order.
const (
	Preparing  Status = "preparing"
	Restarting Status = "restarting"
	Done       Status = "done"
	Failed     Status = "failed"
)

// Order is a restore, from the wish for it to its end, as the API shows it.
type Order struct {
	ID       string     `json:"id"`
	At       *time.Time `json:"at"`       // the moment asked for, or nil
	Snapshot *string    `json:"snapshot"` // the snapshot asked for, or nil
	Status   Status     `json:"status"`
	Before   string     `json:"before"` // the snapshot of the state before
	Error    string     `json:"error"`
	Started  time.Time  `json:"started"`
	Finished *time.Time `json:"finished"`
}

// journal is what is left to do to carry out an order. Each step can be done
// again, so a start that finds it goes on wherever the last one was killed.
type journal struct {
	Order   Order    `json:"order"`
	Kept    bool     `json:"kept"`    // what must not be undone is in the new state
	Remove  []string `json:"remove"`  // entries of the folder that have no successor
	Replace []string `json:"replace"` // entries that come from the new state
}

// Area is where a new state is made.
type Area struct{ dataDir string }

func areaDir(dataDir string) string     { return filepath.Join(dataDir, Folder, "restore") }
func journalPath(dataDir string) string { return filepath.Join(areaDir(dataDir), "journal.json") }
func lastPath(dataDir string) string    { return filepath.Join(dataDir, Folder, "last-restore.json") }

// ErrPending says that an order waits to be carried out.
var ErrPending = errors.New("another restore waits for the next start")

// Begin makes an empty area in the data folder, so that what is in it can be put
// in place by renaming. Leftovers of a restore that did not come to its end go.
func Begin(dataDir string) (*Area, error) {
	if _, err := os.Stat(journalPath(dataDir)); err == nil {
		return nil, ErrPending
	}
	if err := os.RemoveAll(areaDir(dataDir)); err != nil {
		return nil, err
	}
	return &Area{dataDir}, os.MkdirAll(areaDir(dataDir), 0o700)
}

// New is the folder to put the new state into; it does not exist yet. What of
// the data folder has no counterpart there stays, except for what Commit removes.
func (a *Area) New() string { return filepath.Join(areaDir(a.dataDir), "new") }

// Present is where the newest state of data.db may be put, for a folder that has
// none of its own any more.
func (a *Area) Present() string { return filepath.Join(areaDir(a.dataDir), "present.db") }

func (a *Area) old() string { return filepath.Join(areaDir(a.dataDir), "old") }

// Abandon deletes the area.
func (a *Area) Abandon() error { return os.RemoveAll(areaDir(a.dataDir)) }

// Commit orders the new state to be put in place at the next start. With whole,
// the folder gets exactly what is new, instead of just having that replaced.
func (a *Area) Commit(order Order, whole bool) error {
	fresh, err := names(a.New())
	if err != nil {
		return err
	}
	// A backup that stock PocketBase made of a folder of PicoBase holds PicoBase's
	// own folder too, and this area in it.
	fresh = slices.DeleteFunc(fresh, isOwn)
	if !slices.Contains(fresh, "data.db") {
		return errors.New("the new state has no data.db")
	}
	present, err := names(a.dataDir)
	if err != nil {
		return err
	}
	// Logs and usage figures are of what happened: they are not undone.
	if slices.Contains(present, "auxiliary.db") {
		fresh = slices.DeleteFunc(fresh, func(name string) bool { return strings.HasPrefix(name, "auxiliary.db") })
	}
	j := journal{Order: order, Replace: fresh, Remove: []string{"data.db-wal", "data.db-shm"}}
	for _, name := range present {
		if whole && !stays(name) && !slices.Contains(fresh, name) && !slices.Contains(j.Remove, name) {
			j.Remove = append(j.Remove, name)
		}
	}
	return writeJSON(journalPath(a.dataDir), j)
}

// stays reports whether an entry of the data folder is none of the state that a
// backup holds.
func stays(name string) bool { return isOwn(name) || strings.HasPrefix(name, "auxiliary.db") }

// isOwn reports whether an entry belongs to the folder itself, whatever state
// its project is in.
func isOwn(name string) bool {
	return strings.HasPrefix(name, ".") || name == "backups" || name == "lost+found"
}

func names(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, entry := range entries {
		found = append(found, entry.Name())
	}
	return found, nil
}

// Pending returns the order that waits, or nil.
func Pending(dataDir string) (*Order, error) {
	var j journal
	if found, err := readJSON(journalPath(dataDir), &j); err != nil || !found {
		return nil, err
	}
	return &j.Order, nil
}

// Last returns the last restore that came to an end, or nil.
func Last(dataDir string) (*Order, error) {
	var order Order
	if found, err := readJSON(lastPath(dataDir), &order); err != nil || !found {
		return nil, err
	}
	return &order, nil
}

// Note keeps the order as the last one that came to an end.
func Note(dataDir string, order Order) error { return writeJSON(lastPath(dataDir), order) }

// Carry carries out the order that waits, if there is one, and returns it.
// Nobody may have the folder open.
func Carry(ctx context.Context, dataDir string) (*Order, error) {
	var j journal
	found, err := readJSON(journalPath(dataDir), &j)
	if err != nil || !found {
		return nil, err
	}
	a := &Area{dataDir}
	if !j.Kept {
		if err := a.keep(ctx); err != nil {
			if ctx.Err() != nil {
				return nil, err
			}
			// A damaged present is what restores are for.
			j.Order.Error = "restored, but API keys, sessions and the audit trail are as they were at that time: " + err.Error()
		}
		j.Kept = true
		if err := writeJSON(journalPath(dataDir), j); err != nil {
			return nil, err
		}
	}
	if err := a.swap(j); err != nil {
		return nil, fmt.Errorf("put the restored state in place: %w", err)
	}
	j.Order.Status = Done
	now := time.Now().UTC()
	j.Order.Finished = &now
	if err := Note(dataDir, j.Order); err != nil {
		return nil, err
	}
	return &j.Order, a.Abandon()
}

// swap moves the old entries out and the new ones in. An entry that is not in
// the new state any more has been moved already.
func (a *Area) swap(j journal) error {
	if err := os.MkdirAll(a.old(), 0o700); err != nil {
		return err
	}
	for _, name := range j.Remove {
		if err := moveAway(filepath.Join(a.dataDir, name), filepath.Join(a.old(), name)); err != nil {
			return err
		}
	}
	for _, name := range j.Replace {
		from, to := filepath.Join(a.New(), name), filepath.Join(a.dataDir, name)
		if _, err := os.Lstat(from); errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return err
		}
		if err := moveAway(to, filepath.Join(a.old(), name)); err != nil {
			return err
		}
		if err := os.Rename(from, to); err != nil {
			return err
		}
	}
	return syncDir(a.dataDir)
}

// moveAway renames, if there is something to rename and it has not been before.
func moveAway(from, to string) error {
	if _, err := os.Lstat(from); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	return os.Rename(from, to)
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func readJSON(path string, into any) (found bool, err error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return false, fmt.Errorf("read %s: %w", path, err)
	}
	return true, nil
}

func writeJSON(path string, value any) (err error) {
	raw, err := json.Marshal(value)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path+".tmp", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(raw)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}
