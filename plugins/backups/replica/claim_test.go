package replica

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestClaimRestoresAnEmptyFolder(t *testing.T) {
	t.Parallel()
	store := newMemory()
	first := newTenant(t, store).start()
	for range 30 {
		first.write()
	}
	first.stop()

	second := newTenant(t, store)
	var last, total int64
	claim, err := second.replica.Claim(t.Context(), func(done, all int64) { last, total = done, all })
	if err != nil || !claim.Restored || claim.Bytes == 0 || last == 0 || last != total {
		t.Fatalf("%+v, %v; progress %d of %d", claim, err, last, total)
	}
	second.open()
	if err := second.replica.Start(); err != nil {
		t.Fatal(err)
	}
	second.write()
	second.stop()

	third := newTenant(t, store)
	if claim, err := third.replica.Claim(t.Context(), nil); err != nil || !claim.Restored {
		t.Fatalf("%+v, %v", claim, err)
	}
	if count, _ := rows(t, third.path()); count != 31 {
		t.Errorf("%d rows after restore, write, restore", count)
	}
}

// A process may be killed between its restore and the first time it replicates.
func TestClaimAfterAKillBehindTheRestore(t *testing.T) {
	t.Parallel()
	store := newMemory()
	first := newTenant(t, store).start()
	first.write()
	first.stop()

	killed := newTenant(t, store, func(cfg *Config) { cfg.Interval = func() time.Duration { return time.Hour } }).start()
	killed.write()
	for range 2 { // also more than once
		next := newTenant(t, store)
		copyDir(t, killed.dir, next.dir)
		if claim, err := next.replica.Claim(t.Context(), nil); err != nil || claim.Restored {
			t.Fatalf("%+v, %v", claim, err)
		}
		killed = next
	}
	killed.start().stop()
	if count, _ := rows(t, killed.restored(time.Time{})); count != 2 {
		t.Errorf("%d rows", count)
	}
}

func TestClaimOfANewTenantStartsEmpty(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, newMemory())
	claim, err := tn.replica.Claim(t.Context(), nil)
	if err != nil || claim.Restored {
		t.Errorf("%+v, %v", claim, err)
	}
	if _, err := os.Stat(tn.path()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a database was made: %v", err)
	}
}

// What cannot be known for sure is no reason to start with an empty database.
func TestClaimRefuses(t *testing.T) {
	t.Parallel()
	away := errors.New("connection refused")
	seed := func(t *testing.T) (*memory, *tenant) {
		store := newMemory()
		tn := newTenant(t, store).start()
		for range 20 {
			tn.write()
		}
		tn.stop()
		return store, tn
	}
	for name, c := range map[string]struct {
		prepare func(*testing.T) *tenant
		want    string
	}{
		"empty folder, store away": {func(t *testing.T) *tenant {
			store, _ := seed(t)
			store.setFail(away)
			return newTenant(t, store)
		}, "connection refused"},
		"empty folder, replica with a hole": {func(t *testing.T) *tenant {
			store, _ := seed(t)
			_ = store.Delete(t.Context(), store.keys("data.db/0000/")[0])
			return newTenant(t, store)
		}, "not whole"},
		"empty folder, damaged replica": {func(t *testing.T) *tenant {
			store, _ := seed(t)
			for _, key := range store.keys("data.db/0000/") {
				o := store.objects[key]
				o.data = append([]byte{}, o.data...)
				o.data[len(o.data)/2] ^= 0xff
				store.objects[key] = o
			}
			return newTenant(t, store)
		}, "restore from the replica"},
		"folder of another project": {func(t *testing.T) *tenant {
			store, _ := seed(t)
			_, other := seed(t)
			other.replica = other.newReplica(store)
			return other
		}, "made from another folder"},
		"folder that never was replicated": {func(t *testing.T) *tenant {
			store, _ := seed(t)
			other := newTenant(t, store)
			other.open()
			return other
		}, "made from another folder"},
		"older copy of the folder": {func(t *testing.T) *tenant {
			store, tn := seed(t)
			copied := newTenant(t, store)
			copyDir(t, tn.dir, copied.dir)
			tn.replica = tn.newReplica(store)
			tn.start()
			tn.write()
			tn.stop()
			return copied
		}, "ahead of this folder"},
		"folder whose replica was taken over": {func(t *testing.T) *tenant {
			store, tn := seed(t)
			other := newTenant(t, store).start()
			other.stop()
			tn.replica = tn.newReplica(store)
			return tn
		}, "taken over"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tn := c.prepare(t)
			_, before := os.Stat(tn.path())
			claim, err := tn.replica.Claim(t.Context(), nil)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("%+v, %v; want an error with %q", claim, err, c.want)
			}
			if _, after := os.Stat(tn.path()); errors.Is(before, fs.ErrNotExist) && after == nil {
				t.Error("a database is there all the same")
			}
		})
	}
}

// A folder whose store is away is served, and replicated when it is back.
func TestClaimLate(t *testing.T) {
	t.Parallel()
	store := newMemory()
	tn := newTenant(t, store).start()
	tn.write()
	tn.stop()
	store.setFail(errors.New("connection refused"))
	tn.replica = tn.newReplica(store)
	claim, err := tn.replica.Claim(t.Context(), nil)
	if err != nil || claim.Away == nil {
		t.Fatalf("%+v, %v", claim, err)
	}
	tn.open()
	if err := tn.replica.Start(); err != nil {
		t.Fatal(err)
	}
	tn.write()
	until(t, "lag", func() bool { return tn.replica.Status().Err != nil })
	store.setFail(nil)
	until(t, "catching up", func() bool { s := tn.replica.Status(); return s.Lag == 0 && s.Err == nil && !s.Synced.IsZero() })
	if count, _ := rows(t, tn.restored(time.Time{})); count != 2 {
		t.Errorf("%d rows", count)
	}
	tn.stop()
}

func TestSecondProcessIsRefused(t *testing.T) {
	t.Parallel()
	store := newMemory()
	tn := newTenant(t, store).start()
	tn.write()
	tn.sync()
	second := newTenant(t, store)
	_, err := second.replica.Claim(t.Context(), nil)
	var held *HeldError
	if !errors.As(err, &held) || held.PID != os.Getpid() {
		t.Errorf("%v, want a HeldError", err)
	}
	tn.stop()
	if claim, err := second.replica.Claim(t.Context(), nil); err != nil || !claim.Restored {
		t.Errorf("after the stop of the first: %+v, %v", claim, err)
	}
}

// The successor of a lost machine waits for the end of its lease, not longer.
func TestSuccessorWaitsForTheLease(t *testing.T) {
	t.Parallel()
	store := newMemory()
	tn := newTenant(t, store).start()
	tn.write()
	tn.sync()
	tn.replica.cancel() // as if killed
	tn.db.Close()
	begin := time.Now()
	second := newTenant(t, store)
	claim, err := second.replica.Claim(t.Context(), nil)
	if err != nil || !claim.Restored {
		t.Fatalf("%+v, %v", claim, err)
	}
	if took := time.Since(begin); took > leaseTime+5*time.Second {
		t.Errorf("waited for %v", took)
	}
}

// Whoever lost the lease uploads nothing more and knows it.
func TestLostLease(t *testing.T) {
	t.Parallel()
	store := newMemory()
	tn := newTenant(t, store).start()
	tn.write()
	tn.sync()
	second := newTenant(t, store, func(cfg *Config) { cfg.TakeOver = true }).start()
	second.write()
	second.sync()
	for range 5 {
		tn.write()
	}
	if err := tn.replica.Sync(context.Background()); !errors.Is(err, ErrLost) {
		t.Errorf("sync after the loss: %v", err)
	}
	until(t, "knowing", tn.replica.Lost)
	second.write()
	second.sync()
	if count, _ := rows(t, second.restored(time.Time{})); count != 3 {
		t.Errorf("%d rows, want those of the one that holds the lease", count)
	}
	tn.stop()
	second.stop()
}

func copyDir(t *testing.T, from, to string) {
	t.Helper()
	if out, err := exec.Command("cp", "-r", from+"/.", to).CombinedOutput(); err != nil {
		t.Fatalf("copy %s: %v %s", filepath.Base(from), err, out)
	}
}
