package usage

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/picobase/picobase/internal/config"
)

var testKey = cellKey{hour: 1769846400, keyID: "k1", group: groupRecords, class: 2}

func TestFlushAddsToRows(t *testing.T) {
	t.Parallel()
	s := register(t, Config{})
	for range 2 {
		s.counters.record(testKey, sample{bytesIn: 10, bytesOut: 100, latency: time.Millisecond})
		s.counters.record(testKey, sample{bytesIn: 1, bytesOut: 1, latency: time.Second})
		if err := s.flush(); err != nil {
			t.Fatal(err)
		}
	}
	want := []storedRow{{Hour: testKey.hour, KeyID: "k1", Route: "records", StatusClass: 2, Requests: 4, BytesIn: 22, BytesOut: 202}}
	if got := s.rows(); !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := s.latencies(); got != 4 {
		t.Errorf("%d latencies, want 4", got)
	}
}

func TestFailedFlushLosesNothing(t *testing.T) {
	t.Parallel()
	var touched []string
	s := register(t, Config{TouchKeys: func(lastUsed map[string]time.Time) error {
		touched = append(touched, slices.Sorted(maps.Keys(lastUsed))...)
		return nil
	}})
	s.exec("ALTER TABLE _pico_usage RENAME TO hidden")
	for range 3 {
		s.counters.record(testKey, sample{at: time.Now(), bytesIn: 1})
		if err := s.flush(); err == nil {
			t.Fatal("no error without a table")
		}
	}
	if len(touched) > 0 {
		t.Error("keys were touched before their figures were safe")
	}
	s.exec("ALTER TABLE hidden RENAME TO _pico_usage")
	if err := s.flush(); err != nil {
		t.Fatal(err)
	}
	if rows := s.rows(); len(rows) != 1 || rows[0].Requests != 3 || rows[0].BytesIn != 3 {
		t.Errorf("got %+v, want one row with 3 requests", rows)
	}
	if !slices.Equal(touched, []string{"k1"}) {
		t.Errorf("touched %v, want k1 once", touched)
	}
}

func TestStopFlushes(t *testing.T) {
	t.Parallel()
	s := register(t, Config{})
	for round := range int64(2) { // Start after Stop works
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
		s.counters.record(testKey, sample{})
		for range 2 { // Stop twice is harmless
			if err := s.Stop(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if rows := s.rows(); len(rows) != 1 || rows[0].Requests != round+1 {
			t.Errorf("round %d: got %+v", round, rows)
		}
	}
}

func TestStopIsBounded(t *testing.T) {
	t.Parallel()
	s := register(t, Config{})
	s.flushing.Lock() // a database that does not answer
	defer s.flushing.Unlock()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Stop(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
}

func TestWorkerFlushes(t *testing.T) {
	t.Parallel()
	s := register(t, Config{FlushInterval: time.Millisecond})
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	defer s.Stop(t.Context())
	s.counters.record(testKey, sample{})
	eventually(t, func() bool { return len(s.rows()) == 1 })
}

func TestIdleTenantWritesNothing(t *testing.T) {
	t.Parallel()
	s := register(t, Config{TouchKeys: func(map[string]time.Time) error {
		t.Error("TouchKeys was called")
		return nil
	}})
	changes := func() (version, changed int) {
		// data_version tells of commits by other connections, total_changes of this one's.
		db := s.app.AuxNonconcurrentDB()
		if err := db.NewQuery("SELECT total_changes()").Row(&changed); err != nil {
			t.Fatal(err)
		}
		if err := db.NewQuery("PRAGMA data_version").Row(&version); err != nil {
			t.Fatal(err)
		}
		return version, changed
	}
	version, changed := changes()
	for range 3 {
		if err := s.flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.deleteOld(); err != nil {
		t.Fatal(err)
	}
	if v, c := changes(); v != version || c != changed {
		t.Errorf("the database changed: %d, %d; was %d, %d", v, c, version, changed)
	}
}

func TestTouchKeys(t *testing.T) {
	t.Parallel()
	clock := newClock("2026-01-31T10:00:00Z")
	var told []map[string]time.Time
	fail := true
	s := register(t, Config{Now: clock.Now, TouchKeys: func(lastUsed map[string]time.Time) error {
		if fail {
			return errors.New("not now")
		}
		told = append(told, maps.Clone(lastUsed))
		return nil
	}})
	use := func(id string) {
		key := testKey
		key.keyID = id
		s.counters.record(key, sample{at: clock.Now()})
	}
	flush := func() {
		if err := s.flush(); err != nil {
			t.Fatal(err)
		}
	}
	first := clock.Now()
	use("k1")
	use("k2")
	use("") // no key
	flush()
	clock.advance(time.Second)
	use("k2")
	fail = false
	flush()
	flush()

	want := map[string]time.Time{"k1": first, "k2": clock.Now()}
	if len(told) != 1 || !maps.Equal(told[0], want) {
		t.Errorf("told %v, want %v once", told, want)
	}
}

func TestRetention(t *testing.T) {
	t.Parallel()
	clock := newClock("2026-01-31T10:30:00Z")
	settings := config.Default()
	settings.Usage.RetentionDays = 7
	s := register(t, Config{Now: clock.Now, Settings: func() *config.Settings { return settings }})
	kept := testKey
	kept.hour = hourOf(clock.Now().AddDate(0, 0, -7))
	old := kept
	old.hour -= 3600
	s.counters.record(kept, sample{})
	s.counters.record(old, sample{})
	if err := s.flush(); err != nil {
		t.Fatal(err)
	}

	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	for _, j := range s.app.Cron().Jobs() {
		if j.Id() == retentionJob {
			j.Run()
		}
	}
	if rows := s.rows(); len(rows) != 1 || rows[0].Hour != kept.hour {
		t.Errorf("got %+v, want hour %d alone", rows, kept.hour)
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, j := range s.app.Cron().Jobs() {
		if j.Id() == retentionJob {
			t.Error("the job outlives Stop")
		}
	}
}

func TestRegisterChecksConfig(t *testing.T) {
	t.Parallel()
	if _, err := Register(nil, Config{}); err == nil {
		t.Error("no error without Settings")
	}
	if _, err := Register(nil, Config{Settings: config.Default, FlushInterval: time.Minute}); err == nil {
		t.Error("no error for an interval of a minute")
	}
}
