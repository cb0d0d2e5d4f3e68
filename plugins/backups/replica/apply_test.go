package replica

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/benbjohnson/litestream"
	"github.com/superfly/ltx"
)

// A restore is the same to the byte as Litestream's own, of a database that has
// grown, shrunk and grown again, from loose, merged and packed files.
func TestRestoreIsLitestreams(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, newMemory()).start()
	fill := func() {
		for range 20 {
			tn.exec("INSERT INTO bulk SELECT randomblob(3000) FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30) SELECT i FROM n)")
			tn.sync()
		}
	}
	var targets []ltx.TXID
	target := func() {
		t.Helper()
		newest, err := tn.replica.target(t.Context(), time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		targets = append(targets, newest.TXID)
	}
	tn.exec("CREATE TABLE bulk (data)")
	fill()
	target()
	tn.exec("DELETE FROM bulk WHERE rowid % 10 > 0")
	tn.exec("VACUUM")
	tn.sync()
	target()

	var sizes []int64
	check := func(t *testing.T) {
		for _, txid := range targets {
			reader := *tn.replica.client
			view, plan, err := reader.plan(t.Context(), txid)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			ours, theirs := filepath.Join(dir, "ours.db"), filepath.Join(dir, "theirs.db")
			if err := restoreChecked(t.Context(), view, plan, ours); err != nil {
				t.Fatal(err)
			}
			options := litestream.NewRestoreOptions()
			options.OutputPath, options.TXID = theirs, txid
			if err := litestream.NewReplicaWithClient(nil, view).Restore(t.Context(), options); err != nil {
				t.Fatal(err)
			}
			a, errA := os.ReadFile(ours)
			b, errB := os.ReadFile(theirs)
			if errA != nil || errB != nil || !bytes.Equal(a, b) {
				t.Errorf("transaction %v by %d files: %d and %d bytes, which differ (%v, %v)", txid, len(plan), len(a), len(b), errA, errB)
			}
			sizes = append(sizes, int64(len(a)))
		}
	}
	t.Run("loose", check)
	merged := tn.compactNow()
	fill()
	target()
	sizes = nil
	t.Run("loose and merged", check)
	if sizes[1] >= sizes[0] || sizes[2] <= sizes[1] {
		t.Errorf("sizes %v: it did not shrink and grow", sizes)
	}
	if err := tn.replica.archive(t.Context(), merged, 0); err != nil {
		t.Fatal(err)
	}
	t.Run("packed", check)
	tn.stop()
}

// A damaged file is noticed, wherever the damage is.
func TestApplyNoticesDamage(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, newMemory()).start()
	tn.write()
	tn.sync()
	reader := *tn.replica.client
	view, plan, err := reader.plan(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	body, err := view.OpenLTXFile(t.Context(), plan[0].Level, plan[0].MinTXID, plan[0].MaxTXID, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := io.ReadAll(body)
	if err := errors.Join(err, body.Close()); err != nil {
		t.Fatal(err)
	}
	tn.stop()
	apply := func(content []byte) ([]byte, error) {
		path := filepath.Join(t.TempDir(), "x.db")
		db, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(applyFile(bytes.NewReader(content), db), db.Close()); err != nil {
			return nil, err
		}
		return os.ReadFile(path)
	}
	good, err := apply(whole)
	if err != nil {
		t.Fatal(err)
	}
	for at := 100; at < len(whole); at += len(whole)/50 + 1 {
		bad := bytes.Clone(whole)
		bad[at] ^= 1
		// Some bits say the same either way, to a decompressor.
		if got, err := apply(bad); err == nil && !bytes.Equal(got, good) {
			t.Errorf("byte %d of %d is damaged, and nobody says so", at, len(whole))
		}
		if _, err := apply(whole[:at]); err == nil {
			t.Errorf("%d of %d bytes are there, and nobody says so", at, len(whole))
		}
	}
}

// breaking gives a few bytes, then breaks off.
type breaking struct {
	left io.Reader
	err  error
}

func (b *breaking) Read(p []byte) (int, error) {
	n, err := b.left.Read(p)
	if err == io.EOF {
		err = b.err
	}
	return n, err
}
func (*breaking) Close() error { return nil }

func TestResumed(t *testing.T) {
	t.Parallel()
	content := bytes.Repeat([]byte("0123456789"), 100)
	for _, broken := range []error{io.EOF, errors.New("connection reset")} {
		opened := 0
		r := &resumed{size: int64(len(content)), open: func(offset int64) (io.ReadCloser, error) {
			opened++
			return &breaking{left: bytes.NewReader(content[offset:min(offset+70, int64(len(content)))]), err: broken}, nil
		}}
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, content) || opened < 10 {
			t.Errorf("%v: %d bytes of %d by %d connections, %v", broken, len(got), len(content), opened, err)
		}

		r = &resumed{size: int64(len(content)) + 1, open: func(offset int64) (io.ReadCloser, error) {
			return &breaking{left: bytes.NewReader(content[offset:]), err: broken}, nil
		}}
		if got, err := io.ReadAll(r); err == nil {
			t.Errorf("%v: %d bytes are taken for %d", broken, len(got), len(content)+1)
		}
	}
}
