package files

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/picobase/picobase/internal/objectstore"
	"github.com/pocketbase/pocketbase/core"
)

const day = 24 * time.Hour

// days lets so many days pass, with a reconcile on each.
func (s *tenant) days(n int) {
	s.t.Helper()
	for range n {
		s.clock.advance(day)
		s.reconcile()
	}
}

func (s *tenant) wantGone(keys ...string) {
	s.t.Helper()
	for _, key := range keys {
		if s.store.has(key) || s.store.has(key+attrsExt) {
			s.t.Errorf("%s is still in the store", key)
		}
	}
}

// discard deletes a record and waits until PocketBase has deleted its files.
func (s *tenant) discard(record *core.Record) {
	s.t.Helper()
	keys := s.keys(record)
	if err := s.app.Delete(record); err != nil {
		s.t.Fatal(err)
	}
	eventually(s.t, "PocketBase's deletion", func() bool { return !s.isLocal(keys[0]) })
}

func TestSweep(t *testing.T) {
	s := newTenant(t, func(cfg *Config) { cfg.Retention = func() time.Duration { return 3 * day } })
	kept := s.save(s.record("one", text("kept"), "many", text("kept too")))
	deleted := s.save(s.record("one", text("deleted")))
	replaced := s.save(s.record("one", text("replaced")))
	old := s.keys(replaced)
	other := core.NewBaseCollection("other")
	other.Fields.Add(&core.FileField{Name: "one"})
	if err := s.app.Save(other); err != nil {
		t.Fatal(err)
	}
	dropped := core.NewRecord(other)
	dropped.Set("one", text("dropped"))
	s.save(dropped)
	gone := append(append(old, s.keys(deleted)...), s.keys(dropped)...)
	// What is no file of a record is none of the sweep's business.
	strange := []string{"readme.txt", "a/b", "a/b/c/d"}
	for _, key := range strange {
		if _, err := s.store.Put(context.Background(), key, strings.NewReader("x"), objectstore.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	orphan := s.pics.Id + "/aaaaaaaaaaaaaaa/lost.txt" + attrsExt // of an upload that never ended
	if _, err := s.store.Put(context.Background(), orphan, strings.NewReader("{}"), objectstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}

	s.discard(deleted)
	replaced.Set("one", text("new"))
	s.save(replaced)
	if err := s.app.Delete(other); err != nil {
		t.Fatal(err)
	}
	s.reconcile() // all is too young
	if s.store.has(marksKey) {
		t.Error("young files were marked")
	}

	s.days(1) // marked now
	if !s.store.has(marksKey) {
		t.Error("no marks")
	}
	s.days(3) // exactly the retention: not yet longer
	s.wantStored(gone...)
	s.days(1)
	s.wantGone(gone...)
	if s.store.has(orphan) {
		t.Error("the orphan is still there")
	}
	s.wantStored(s.keys(kept)...)
	s.wantStored(s.keys(replaced)...)
	for _, key := range strange {
		if !s.store.has(key) {
			t.Errorf("%s was deleted", key)
		}
	}
	s.days(1)
	packed := s.store.objects[marksKey].data
	if m, err := unpackMarks(packed); err != nil || len(m) != 0 {
		t.Errorf("marks left: %v %v", m, err)
	}
}

func TestSweepYoungFiles(t *testing.T) {
	s := newTenant(t, func(cfg *Config) { cfg.Retention = func() time.Duration { return time.Second } })
	record := s.save(s.record("one", text("x")))
	s.discard(record)
	s.clock.advance(time.Hour - time.Second)
	s.reconcile()
	s.clock.advance(time.Second) // now it is marked
	s.reconcile()
	s.wantStored(s.keys(record)...)
	s.clock.advance(2 * time.Second)
	s.reconcile()
	s.wantGone(s.keys(record)...)
}

// TestSweepOfReturnedFile: a restore of the database names a file again, whose
// retention then begins anew.
func TestSweepOfReturnedFile(t *testing.T) {
	s := newTenant(t)
	record := s.save(s.record("one", text("x")))
	key := s.keys(record)[0]
	s.exec("CREATE TABLE saved AS SELECT * FROM pics")
	s.discard(record)
	s.days(6)
	s.exec("INSERT INTO pics SELECT * FROM saved")
	s.days(1)
	if !s.isLocal(key) {
		t.Error("the file did not come back")
	}
	s.exec("DELETE FROM pics")
	s.days(7) // marked on the first
	s.wantStored(key)
	s.days(2)
	s.wantGone(key)
}

// TestSweepRemembers: marks survive a restart, and their loss costs time only.
func TestSweepRemembers(t *testing.T) {
	cases := []struct {
		name  string
		marks func(*tenant)
		gone  bool
	}{
		{"kept", func(*tenant) {}, true},
		{"lost", func(s *tenant) { delete(s.store.objects, marksKey) }, false},
		{"garbage", func(s *tenant) { s.store.objects[marksKey] = object{data: []byte("garbage")} }, false},
		{"empty", func(s *tenant) { s.store.objects[marksKey] = object{} }, false},
		{"null", func(s *tenant) {
			packed, _ := packMarks(nil)
			s.store.objects[marksKey] = object{data: packed}
		}, false},
		{"from the future", func(s *tenant) {
			m, _ := unpackMarks(s.store.objects[marksKey].data)
			for key := range m {
				m[key] += int64(100 * day / time.Second)
			}
			packed, _ := packMarks(m)
			s.store.objects[marksKey] = object{data: packed}
		}, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := newTenant(t)
			record := s.save(s.record("one", text("x")))
			s.discard(record)
			s.days(6)
			c.marks(s)

			next := newTenant(t) // on other disks, with the same store
			next.store.objects, next.clock = s.store.objects, s.clock
			next.Plugin.cfg.Now, next.store.now = s.clock.Now, s.clock.Now
			next.days(3)
			if gone := !next.store.has(s.keys(record)[0]); gone != c.gone {
				t.Errorf("gone is %v, want %v", gone, c.gone)
			}
		})
	}
}

// TestSweepInDoubt: when something cannot be read, nothing is deleted, and no
// mark is lost.
func TestSweepInDoubt(t *testing.T) {
	failing := func(method, part string) func(*tenant) {
		return func(s *tenant) {
			s.store.setFault(func(_ context.Context, called, key string) error {
				if called == method && strings.Contains(key, part) {
					return errAway
				}
				return nil
			})
		}
	}
	cases := []struct {
		name         string
		broken, mend func(*tenant)
	}{
		{"list fails at once", failing("list", ""), nil},
		{"list fails half way", failing("listed", "/zzz"), nil},
		{"marks cannot be read", failing("get", marksKey), nil},
		{"marks cannot be written", failing("put", marksKey), nil},
		{"records cannot be read", func(s *tenant) { s.exec("ALTER TABLE pics RENAME TO away") },
			func(s *tenant) { s.exec("ALTER TABLE away RENAME TO pics") }},
		{"collections cannot be read", func(s *tenant) { s.exec("ALTER TABLE _collections RENAME TO away") },
			func(s *tenant) { s.exec("ALTER TABLE away RENAME TO _collections") }},
		{"database closed", func(s *tenant) { _ = s.app.ResetBootstrapState() },
			func(s *tenant) {
				if err := s.app.Bootstrap(); err != nil {
					s.t.Fatal(err)
				}
			}},
		{"list is not sorted", nil, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := newTenant(t)
			kept := s.save(s.record("one", text("kept")))
			record := s.save(s.record("one", text("x")))
			last := s.pics.Id + "/zzzzzzzzzzzzzzz/last.txt" // the list fails here, after the rest
			if _, err := s.store.Put(context.Background(), last, strings.NewReader("x"), objectstore.PutOptions{}); err != nil {
				t.Fatal(err)
			}
			s.discard(record)
			s.days(7)
			s.clock.advance(2 * day)
			s.store.forgetCalls()
			if c.broken == nil {
				s.Plugin.cfg.Store = unsorted{s.store}
			} else {
				c.broken(s)
			}
			if c.name == "marks cannot be written" {
				delete(s.store.objects, last) // else there is nothing to write
			}
			if err := s.Reconcile(context.Background()); err == nil {
				t.Error("no error")
			}
			if s.Status().LastError == nil {
				t.Error("no error in the status")
			}
			if n := s.store.count("delete "); n != 0 {
				t.Errorf("%d deletions", n)
			}
			s.wantStored(s.keys(record)...)

			s.store.setFault(nil)
			s.Plugin.cfg.Store = s.store
			if c.mend != nil {
				c.mend(s)
			}
			s.reconcile()
			s.wantGone(s.keys(record)...)
			s.wantStored(s.keys(kept)...)
			if s.Status().LastError != nil {
				t.Error("the error stays in the status")
			}
		})
	}
}

// TestSweepLooksAgain: a file that is named between the listing and the deletion
// is kept.
func TestSweepLooksAgain(t *testing.T) {
	s := newTenant(t)
	record := s.save(s.record("one", text("x")))
	s.exec("CREATE TABLE saved AS SELECT * FROM pics")
	s.discard(record)
	s.days(7)
	s.clock.advance(2 * day)
	delete(s.store.objects, s.keys(record)[0]+attrsExt)
	extra := s.pics.Id + "/aaaaaaaaaaaaaaa/new.txt"
	s.store.objects[extra] = object{data: []byte("x")} // so that marks are written
	s.store.setFault(func(_ context.Context, method, key string) error {
		if method == "put" && key == marksKey {
			s.exec("INSERT INTO pics SELECT * FROM saved")
		}
		return nil
	})
	s.reconcile()
	if !s.store.has(s.keys(record)[0]) {
		t.Error("deleted although a record names it")
	}
}

// TestSweepDiesHalfWay: when the deletion fails, the marks are still there.
func TestSweepDiesHalfWay(t *testing.T) {
	s := newTenant(t)
	record := s.save(s.record("one", text("x")))
	s.discard(record)
	s.days(7)
	s.clock.advance(2 * day)
	s.store.setFault(func(_ context.Context, method, _ string) error {
		if method == "delete" {
			return errAway
		}
		return nil
	})
	if err := s.Reconcile(context.Background()); err == nil {
		t.Error("no error")
	}
	s.store.setFault(nil)
	s.reconcile()
	s.wantGone(s.keys(record)...)
}
