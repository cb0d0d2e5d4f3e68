package replica

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/benbjohnson/litestream"
	"github.com/picobase/picobase/internal/objectstore"
	"github.com/superfly/ltx"
)

// A folder may only be replicated to where it belongs: written over the replica
// of another project, or of its own future, it would destroy that. So both sides
// carry a name, and the folder knows how far it had come.

const idKey = "replica.json"

// identity is what a replica is called.
type identity struct {
	ID string `json:"id"`
}

// state is what a data folder knows of its replica.
type state struct {
	Replica string `json:"replica"` // the replica's id
	Owner   string `json:"owner"`   // this folder's own name, as in the lease

	// Restored is the last transaction of the replica that the database holds. It
	// counts as long as the folder has no files of level 0 that tell the same: it
	// was restored from the replica and nothing was replicated since.
	Restored ltx.TXID `json:"restored,omitempty"`
}

func readState(metaDir string) (state, error) {
	var s state
	raw, err := os.ReadFile(filepath.Join(metaDir, "state.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		return s, fmt.Errorf("read state.json in %s: %w", metaDir, err)
	}
	return s, nil
}

func (s state) write(metaDir string) error {
	raw, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(metaDir, 0o700); err != nil {
		return err
	}
	path := filepath.Join(metaDir, "state.json")
	if err := os.WriteFile(path+".tmp", raw, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}

// ErrNotOurs says that a folder and a replica do not belong together, or not any more.
var ErrNotOurs = errors.New("the data folder and the replica do not belong together")

// advice ends the messages of folders that must not be written over a replica.
const advice = "To go on from the replica, move the data folder away: the next start restores it. " +
	"To go on from the data folder, give it a new PICOBASE_S3_PREFIX: it becomes a new replica"

// check reports whether the folder may be replicated to the replica, given that
// both hold data.
func (r *Replica) check(ctx context.Context, s state, remote ltx.TXID) error {
	id, err := r.readID(ctx)
	if err != nil {
		return err
	}
	if s.Replica == "" || s.Replica != id {
		return fmt.Errorf("%w: the replica was made from another folder. %s", ErrNotOurs, advice)
	}
	local, err := r.localTXID()
	if err != nil {
		return err
	}
	if local == 0 && s.Restored != 0 {
		if remote > s.Restored {
			return fmt.Errorf("%w: the replica was written to after this folder was restored from it. %s", ErrNotOurs, advice)
		}
		return nil
	}
	doc, _, err := r.lease.read(ctx)
	if err != nil && !errors.Is(err, objectstore.ErrNotFound) {
		return err
	}
	if err == nil && doc.Owner != s.Owner {
		if doc.heldAt(r.lease.now()) {
			return &HeldError{Host: doc.Host, PID: doc.PID, Expires: doc.Expires}
		}
		return fmt.Errorf("%w: since this folder was last served, the replica was taken over on %s. %s", ErrNotOurs, doc.Host, advice)
	}
	if local < remote {
		return fmt.Errorf("%w: the replica (%s) is ahead of this folder (%s), which is an older copy. %s", ErrNotOurs, remote, local, advice)
	}
	return nil
}

func (r *Replica) localTXID() (ltx.TXID, error) {
	probe := litestream.NewDB(r.cfg.Path)
	probe.SetMetaPath(r.cfg.MetaDir)
	_, newest, err := probe.MaxLTX()
	return newest, err
}

func (r *Replica) readID(ctx context.Context) (string, error) {
	raw, err := objectstore.ReadAll(ctx, r.cfg.Store, idKey)
	if errors.Is(err, objectstore.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	var found identity
	if err := json.Unmarshal(raw, &found); err != nil {
		return "", fmt.Errorf("read %s: %w", idKey, err)
	}
	return found.ID, nil
}

// adopt makes folder and replica know each other. The caller holds the lease.
func (r *Replica) adopt(ctx context.Context, s state) (state, error) {
	id, err := r.readID(ctx)
	if err != nil {
		return s, err
	}
	if id == "" {
		id = rand.Text()
		raw, err := json.Marshal(identity{id})
		if err != nil {
			return s, err
		}
		if _, err := r.cfg.Store.Put(ctx, idKey, bytes.NewReader(raw), objectstore.PutOptions{}); err != nil {
			return s, err
		}
	}
	s.Replica = id
	return s, s.write(r.cfg.MetaDir)
}
