package main

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestPercentile(t *testing.T) {
	t.Parallel()
	hundred := make([]int, 100)
	for i := range hundred {
		hundred[i] = i + 1
	}
	tests := []struct {
		name    string
		sorted  []int
		percent int
		want    int
	}{
		{"median of 100", hundred, 50, 50},
		{"p99 of 100", hundred, 99, 99},
		{"longest", hundred, 100, 100},
		{"p95 of 10 is the longest", hundred[:10], 95, 10},
		{"p50 of two", hundred[:2], 50, 1},
		{"one", hundred[:1], 50, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := percentile(tt.sorted, tt.percent); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

func TestSpread(t *testing.T) {
	t.Parallel()
	for want, values := range map[string][]float64{"–": nil, "3": {3}, "4 (2–9)": {9, 2, 4}} {
		if got := spread(values, "%.0f"); got != want {
			t.Errorf("spread(%v) = %q, want %q", values, got, want)
		}
	}
}

// A write that was under way before an operation began, or is when it ended,
// was held up by it all the same.
func TestWriterBetween(t *testing.T) {
	t.Parallel()
	zero := time.Unix(1_000_000_000, 0)
	at := func(ms int) time.Time { return zero.Add(time.Duration(ms) * time.Millisecond) }
	broken := errors.New("broken")
	w := &writer{requests: []request{
		{at(0), 50 * time.Millisecond, broken}, // over before
		{at(60), 60 * time.Millisecond, nil},   // reaches into it
		{at(150), 10 * time.Millisecond, nil},
		{at(190), 500 * time.Millisecond, nil}, // reaches out of it
		{at(201), 1 * time.Millisecond, nil},   // after
	}}
	took, err := w.between(at(100), at(200))
	want := []time.Duration{10 * time.Millisecond, 60 * time.Millisecond, 500 * time.Millisecond}
	if err != nil || !slices.Equal(took, want) {
		t.Errorf("got %v, %v; want %v", took, err, want)
	}
	if _, err := w.between(at(0), at(200)); !errors.Is(err, broken) {
		t.Errorf("the failed write was not reported: %v", err)
	}
}

func TestBucketWatch(t *testing.T) {
	t.Parallel()
	zero := time.Unix(1_000_000_000, 0)
	w := &bucketWatch{waiting: map[string]time.Time{}}
	w.expect("first", zero)
	w.came([]byte("..first..second.."), zero.Add(time.Second))
	w.expect("second", zero.Add(2*time.Second)) // acknowledged after it was there
	if !w.complete() || !slices.Equal(w.delays, []time.Duration{time.Second, 0}) {
		t.Errorf("delays %v, waiting %v", w.delays, w.waiting)
	}
	w.expect("third", zero)
	if w.complete() {
		t.Error("a write in no object counts as replicated")
	}
}

func sampleResults() backupResults {
	pairs := []pair{{stock: sample{rate: 1000, p99: 10}, picobase: sample{rate: 900, p99: 12}}}
	return backupResults{
		onOff:  []onOff{{"S3", pairs}, {"folder", pairs}},
		delays: []time.Duration{100 * time.Millisecond, 600 * time.Millisecond},
		stalls: []stall{
			{1, "stock", nothing, []float64{5}, []float64{1}, []float64{10}, []float64{200}},
			{1, "stock", "backup", []float64{20_000}, []float64{20_000}, []float64{20}, []float64{1}},
			{1, "picobase", nothing, []float64{8}, []float64{1}, []float64{10}, []float64{200}},
			{1, "picobase", "snapshot", []float64{10, 90, 20}, []float64{5, 5, 5}, []float64{30, 30, 30}, []float64{190, 190, 190}},
		},
		starts: []start{
			{100 << 20, true, "stock", fromDisk, []float64{20, 900}},
			{100 << 20, true, "PicoBase", fromDisk, []float64{40, 50}},
			{100 << 20, true, "PicoBase", fromBucket, []float64{3000, 3900}},
			{1 << 30, false, "PicoBase", fromBucket, []float64{60_000}},
		},
	}
}

func TestBackupVerdicts(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		spoil  func(*backupResults)
		missed string
	}{
		{"all within, stock and the large restore are not judged", func(*backupResults) {}, ""},
		{"worst run too long", func(r *backupResults) { r.stalls[3].longest[1] = 101 }, "longest stall: snapshot, 1 connection(s)"},
		{"replication too dear", func(r *backupResults) {
			r.onOff[0].pairs = []pair{{stock: sample{rate: 1000}, picobase: sample{rate: 890}}}
		}, "create req/s, replication on / off, into S3"},
		{"start too slow", func(r *backupResults) { r.starts[1].took[0] = 301 }, "first read, 100 MiB from disk, p95"},
		{"restore too slow", func(r *backupResults) { r.starts[2].took[0] = 4001 }, "first read, 100 MiB from S3, p95"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			res := sampleResults()
			tt.spoil(&res)
			var missed []string
			for _, v := range backupVerdicts(res) {
				if !v.met {
					missed = append(missed, v.what)
				}
			}
			if got := strings.Join(missed, ", "); got != tt.missed {
				t.Errorf("missed %q, want %q", got, tt.missed)
			}
		})
	}
}

func TestBackupsPage(t *testing.T) {
	t.Parallel()
	opts, err := parseOptions(nil)
	if err != nil {
		t.Fatal(err)
	}
	page := string(backupsMarkdown(facts{pocketBase: "v0.1.2"}, opts, sampleResults()))
	for _, want := range []string{
		"**All floors are met.**", "1.0 GiB", "100 MiB", "| 1 | picobase | snapshot | 20 (10–90) |",
		"20 (10–90) ms, with nothing on 8 ms | met |", "| 2 | 100 | 600 | 600 | 600 |",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
	if strings.Contains(page, "<no value>") || strings.Contains(page, "%!") {
		t.Errorf("the page has gaps:\n%s", page)
	}
}
