// Package snapshots makes, checks and keeps backups: zips of a data folder in
// PocketBase's own format, each with an entry in a catalog.
//
// A backup counts only when it was read back from where it is kept, its database
// opened and found whole. Making one blocks no writer. The package decides
// neither when backups are made nor when old ones go, knows nothing of
// PocketBase, and puts nothing in the place of a running project.
//
//	vault, err := snapshots.New(snapshots.Config{Archive: zips, Catalog: catalog, Scratch: scratch})
//	made, err := vault.Create(ctx, snapshots.Source{Dir: "pb_data"}, snapshots.CreateOptions{App: "acme"})
//	err = vault.Extract(ctx, made.ID, "restored")
package snapshots

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/picobase/picobase/internal/backupzip"
	"github.com/picobase/picobase/internal/objectstore"
)

// The conditions that callers branch on.
var (
	// ErrNotFound means that there is no snapshot with that id.
	ErrNotFound = errors.New("no such snapshot")

	// ErrBusy means that the snapshot is in use, or another one is being made.
	ErrBusy = errors.New("busy with another backup, try again later")

	// ErrExists means that there is a snapshot with that id already.
	ErrExists = errors.New("there is a snapshot with that name already")

	// ErrName means that the id is no name for a snapshot.
	ErrName = errors.New("the name must be of letters, digits and _ . @ -, end in .zip and have at most 150 characters")

	// ErrInvalid means that the zip is damaged, or no backup. The text of an
	// error that wraps it is fit to be shown.
	ErrInvalid = backupzip.ErrInvalid

	// ErrNoSpace means that the disk has not the room.
	ErrNoSpace = backupzip.ErrNoSpace
)

// Config configures a Vault.
type Config struct {
	// Archive keeps the zips; the key is the snapshot's id. Required.
	Archive objectstore.Store

	// Catalog keeps what is known about each; the key is the id and ".json". Required.
	Catalog objectstore.Store

	// Scratch is the folder for temporary files, made when needed. It takes a
	// copy of the databases. Required.
	Scratch string

	// Now is the clock (default time.Now).
	Now func() time.Time
}

// Vault keeps the snapshots of one project. Its methods may be called from many
// goroutines.
type Vault struct {
	cfg  Config
	mark string // in the names of this vault's temporary folders

	creating sync.Mutex // held by the one creation under way

	mu   sync.Mutex
	uses map[string]int // readers by id; exclusive while it is made or deleted
}

const exclusive = -1

// New returns a vault. It opens nothing; see Recover.
func New(cfg Config) (*Vault, error) {
	if cfg.Archive == nil || cfg.Catalog == nil || cfg.Scratch == "" {
		return nil, errors.New("snapshots: Config.Archive, Catalog and Scratch are required")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Vault{cfg: cfg, mark: rand.Text(), uses: map[string]int{}}, nil
}

// Kind says why a snapshot was made.
type Kind string

// The kinds. One without an entry in the catalog counts as uploaded.
const (
	Manual        Kind = "manual"
	Scheduled     Kind = "scheduled"
	BeforeRestore Kind = "before-restore"
	Uploaded      Kind = "uploaded"
)

// Status says what a snapshot is good for.
type Status string

// The statuses. A zip that was put into the archive by others is OK but not
// Verified until Verify was called.
const (
	Creating Status = "creating"
	OK       Status = "ok"
	Failed   Status = "failed"
)

// Snapshot is what is known about a backup.
type Snapshot struct {
	ID      string    `json:"id"` // the zip's name
	Kind    Kind      `json:"kind"`
	Status  Status    `json:"status"`
	Label   string    `json:"label"`
	Created time.Time `json:"created"`

	// At is the moment that the data is of: what was committed before is inside.
	At time.Time `json:"at"`

	Size   int64  `json:"size"`   // of the zip
	SHA256 string `json:"sha256"` // of the zip, in hex; empty if it was never read

	// Verified is when the zip was last read and found whole, nil for never.
	Verified *time.Time `json:"verified"`

	// Error is why the status is failed. It is fit to be shown.
	Error string `json:"error"`

	Database *DatabaseInfo `json:"database"`

	// Files and FileBytes are the uploaded files inside, thumbnails included.
	Files     int   `json:"files"`
	FileBytes int64 `json:"fileBytes"`
}

// DatabaseInfo describes the data.db in a snapshot.
type DatabaseInfo struct {
	Bytes  int64            `json:"bytes"`
	Tables int              `json:"tables"`
	Rows   map[string]int64 `json:"rows"` // by table, of the first 500
}

// good reports whether the snapshot may be relied on.
func (s Snapshot) good() bool { return s.Status == OK && s.Verified != nil }

// half reports whether the snapshot's making did not end well, so that its zip,
// if there is one, is of no use.
func (s Snapshot) half() bool { return s.Status == Failed && s.SHA256 == "" }

// use notes that the snapshot is read, so that nobody deletes it. The caller
// calls release once.
func (v *Vault) use(id string) (release func(), err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.uses[id] == exclusive {
		return nil, ErrBusy
	}
	v.uses[id]++
	return func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		if v.uses[id]--; v.uses[id] == 0 {
			delete(v.uses, id)
		}
	}, nil
}

// claim takes the snapshot for one that makes or deletes it.
func (v *Vault) claim(id string) (release func(), err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.uses[id] != 0 {
		return nil, ErrBusy
	}
	v.uses[id] = exclusive
	return func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		delete(v.uses, id)
	}, nil
}

func (v *Vault) now() time.Time { return v.cfg.Now().UTC() }

const scratchPrefix = "snapshot-"

// scratch makes a temporary folder. The caller removes it.
func (v *Vault) scratch() (string, error) {
	if err := os.MkdirAll(v.cfg.Scratch, 0o700); err != nil {
		return "", fmt.Errorf("make the scratch folder: %w", err)
	}
	root, err := realPath(v.cfg.Scratch)
	if err != nil {
		return "", fmt.Errorf("find the scratch folder: %w", err)
	}
	dir, err := os.MkdirTemp(root, scratchPrefix+v.mark+"-")
	if err != nil {
		return "", fmt.Errorf("make a scratch folder: %w", err)
	}
	return dir, nil
}
