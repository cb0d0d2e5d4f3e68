package replica

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/superfly/ltx"
)

func TestReplicateAndRestore(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, newMemory()).start()
	for range 50 {
		tn.write()
	}
	tn.sync()
	if count, _ := rows(t, tn.restored(time.Time{})); count != 50 {
		t.Errorf("%d rows", count)
	}
	tn.stop()
}

// A restore ends within a second of the moment asked for, and never after it,
// whether the history is loose, merged or packed.
func TestRestoreToAMoment(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, newMemory()).start()
	tn.write()
	tn.sync()
	begin := time.Now()
	var commits []time.Time
	for time.Since(begin) < 4*time.Second {
		commits = append(commits, tn.write())
		if len(commits)%300 == 0 { // pauses, as there are in life
			until(t, "pause", func() bool { return time.Since(commits[len(commits)-1]) > 30*time.Millisecond })
		}
	}
	tn.sync()
	end := time.Now()
	check := func(t *testing.T) {
		for range 10 {
			at := begin.Add(rand.N(end.Sub(begin)))
			_, newest := rows(t, tn.restored(at))
			if newest.After(at) || at.Sub(newest) > time.Second {
				t.Errorf("asked for %v, newest row is of %v", at.Sub(begin), newest.Sub(begin))
			}
		}
	}
	t.Run("loose", check)

	merged := tn.compactNow()
	t.Run("merged", check)

	if err := tn.replica.archive(t.Context(), merged, 0); err != nil {
		t.Fatal(err)
	}
	if packs, err := tn.replica.client.listPacks(t.Context()); err != nil || len(packs) == 0 {
		t.Fatalf("packs %v, %v", packs, err)
	}
	if loose, err := tn.replica.client.list(t.Context(), 0, 0); err != nil || len(loose) > 3 {
		t.Errorf("%d files are loose still, %v", len(loose), err)
	}
	t.Run("packed", check)

	var before *BeforeError
	if _, err := tn.replica.Restore(t.Context(), filepath.Join(t.TempDir(), "x"), begin.Add(-time.Hour), nil); !errors.As(err, &before) || before.Oldest.IsZero() {
		t.Errorf("before the beginning: %v", err)
	}
	count, _ := rows(t, tn.restored(time.Time{}))
	if count != len(commits)+1 { // and the one before the beginning
		t.Errorf("%d rows of %d", count, len(commits)+1)
	}
	tn.stop()
}

// compactNow merges all of level 0 into level 1, whatever the time.
func (tn *tenant) compactNow() (merged ltx.TXID) {
	tn.t.Helper()
	info, err := tn.replica.db.Compact(tn.t.Context(), 1)
	if err != nil {
		tn.t.Fatal(err)
	}
	return info.MaxTXID
}

// A stop and a start go on where they were: no second copy of the database.
func TestRestartIsIncremental(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		writes int
	}{{"one write each", 1}, {"only read", 0}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			restartIsIncremental(t, tt.writes)
		})
	}
}

func restartIsIncremental(t *testing.T, writes int) {
	store := newMemory()
	tn := newTenant(t, store).start()
	for range 2000 {
		tn.write()
	}
	tn.stop()
	size := func() (n int64) {
		for _, key := range store.keys("data.db/") {
			n += int64(len(store.objects[key].data))
		}
		return n
	}
	before := size()
	for range 3 {
		// What Litestream keeps open until the process ends stays behind.
		folder := t.TempDir()
		copyDir(t, tn.dir, folder)
		tn.dir = folder
		tn.replica = tn.newReplica(store)
		tn.start()
		for range writes {
			tn.write()
		}
		tn.stop()
	}
	if grown := size() - before; grown > before/4 {
		t.Errorf("three restarts and rows took %d bytes, the database %d", grown, before)
	}
	if count, _ := rows(t, tn.restored(time.Time{})); count != 2000+3*writes {
		t.Errorf("%d rows", count)
	}
}

// A database that was put in the place of another is replicated as it is.
func TestReplacedDatabase(t *testing.T) {
	t.Parallel()
	store := newMemory()
	tn := newTenant(t, store).start()
	for range 100 {
		tn.write()
	}
	tn.sync()
	moment := time.Now()
	old := tn.restored(time.Time{})
	until(t, "a later moment", func() bool { return time.Since(moment) > 20*time.Millisecond })
	for range 100 {
		tn.write()
	}
	tn.stop()
	for _, suffix := range []string{"", "-wal", "-shm"} {
		_ = os.Remove(tn.path() + suffix)
	}
	if err := os.Rename(old, tn.path()); err != nil {
		t.Fatal(err)
	}
	tn.replica = tn.newReplica(store)
	tn.start()
	tn.write()
	tn.sync()
	if count, _ := rows(t, tn.restored(time.Time{})); count != 101 {
		t.Errorf("%d rows now", count)
	}
	if count, _ := rows(t, tn.restored(moment)); count != 100 {
		t.Errorf("%d rows at the moment of the copy", count)
	}
	tn.stop()
}

// Writes go on while the store is away, and are there soon after it is back.
func TestStoreAway(t *testing.T) {
	t.Parallel()
	store := newMemory()
	tn := newTenant(t, store, func(cfg *Config) { cfg.MaxPending = 100_000 }).start()
	tn.write()
	tn.sync()
	store.setFail(errors.New("away"))
	written := 1
	for {
		tn.write()
		written++
		if s := tn.replica.Status(); s.Lag > 3*time.Second {
			if s.Err == nil || s.Pending == 0 {
				t.Errorf("status while the store is away: %+v", s)
			}
			break
		}
	}
	// What waits is merged, so that it stays within bounds.
	until(t, "a merge", func() bool { return tn.replica.Status().Pending < 2_000_000 })
	store.setFail(nil)
	back := time.Now()
	until(t, "catching up", func() bool { s := tn.replica.Status(); return s.Lag == 0 && s.Err == nil })
	if took := time.Since(back); took > maxBackoff+3*time.Second {
		t.Errorf("caught up %v after the store was back", took)
	}
	if count, _ := rows(t, tn.restored(time.Time{})); count != written {
		t.Errorf("%d rows of %d", count, written)
	}
	tn.compactNow()
	tn.write()
	tn.stop()
	if count, _ := rows(t, tn.restored(time.Time{})); count != written+1 {
		t.Errorf("%d rows of %d after the merge", count, written+1)
	}
}

// An idle replica makes no calls.
func TestIdleIsSilent(t *testing.T) {
	t.Parallel()
	store := newMemory()
	tn := newTenant(t, store).start()
	tn.write()
	tn.sync()
	until(t, "the longer lease", func() bool {
		tn.replica.tracker.mu.Lock()
		tn.replica.tracker.lastWrite = time.Now().Add(-time.Hour)
		tn.replica.tracker.mu.Unlock()
		tn.replica.lease.mu.Lock()
		defer tn.replica.lease.mu.Unlock()
		return tn.replica.lease.expires.After(time.Now().Add(10 * time.Minute))
	})
	calls, since := store.callCount(), time.Now()
	until(t, "some seconds", func() bool { return time.Since(since) > 3*time.Second })
	if more := store.callCount() - calls; more > 0 {
		t.Errorf("%d calls while idle", more)
	}
	tn.stop()
}

// What the store took without its answer arriving is sent once more.
func TestAnswersGetLost(t *testing.T) {
	t.Parallel()
	store := newMemory()
	tn := newTenant(t, store).start()
	tn.write()
	tn.sync()
	store.setMute(errors.New("connection reset"))
	tn.write()
	if err := tn.replica.Sync(t.Context()); err == nil {
		t.Fatal("no error")
	}
	store.setMute(nil)
	tn.write()
	tn.sync()
	if count, _ := rows(t, tn.restored(time.Time{})); count != 3 {
		t.Errorf("%d rows", count)
	}
	tn.stop()
}
