package router

import (
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/picobase/picobase/internal/routes"
)

func running(project, url string, hosts ...string) routes.Route {
	return routes.Route{Project: project, Hosts: hosts, State: routes.Running, URL: url}
}

func owner(table *Table, host string) string {
	if p := table.resolve(host); p != nil {
		return p.id
	}
	return ""
}

func TestTable(t *testing.T) {
	t.Parallel()
	table := NewTable(quietLogger())
	expect := func(step string, want map[string]string) {
		t.Helper()
		for host, project := range want {
			if got := owner(table, host); got != project {
				t.Errorf("%s: %s is of %q, want %q", step, host, got, project)
			}
		}
	}
	put(table, running("a", "http://a:1", "A.example.com.", "a2.example.com"))
	put(table, running("b", "http://b:1", "b.example.com"))
	expect("put", map[string]string{"a.example.com": "a", "a2.example.com": "a", "b.example.com": "b", "c.example.com": ""})

	put(table, running("a", "http://a:1", "a.example.com"))
	expect("fewer names", map[string]string{"a.example.com": "a", "a2.example.com": ""})

	// A name goes from a to b; a's part of it comes second.
	put(table, running("b", "http://b:1", "b.example.com", "a.example.com"))
	put(table, running("a", "http://a:1", "a3.example.com"))
	expect("a name moves", map[string]string{"a.example.com": "b", "a3.example.com": "a"})

	kept := table.resolve("a3.example.com")
	table.Apply(routes.Message{Op: routes.Begin})
	put(table, running("a", "http://a:2", "a4.example.com"))
	put(table, running("c", "http://c:1", "c.example.com"))
	expect("before the end", map[string]string{"a3.example.com": "a", "b.example.com": "b", "c.example.com": ""})
	if table.Loaded() {
		t.Error("a table counts as loaded before its first end")
	}
	gone := table.resolve("b.example.com")
	table.Apply(routes.Message{Op: routes.End})
	expect("after the end", map[string]string{"a3.example.com": "", "a4.example.com": "a", "b.example.com": "", "c.example.com": "c"})
	if got := table.resolve("a4.example.com"); got != kept {
		t.Error("what is counted of a project got lost")
	}
	if state := gone.place.Load().state; state != "gone" {
		t.Errorf("a project that is gone is %s for those who wait for it", state)
	}
	if !table.Loaded() || table.size() != 2 {
		t.Errorf("loaded %v, %d names", table.Loaded(), table.size())
	}

	table.Apply(routes.Message{Op: routes.Remove, Route: &routes.Route{Project: "c"}})
	expect("removed", map[string]string{"c.example.com": ""})
	if table.size() != 1 {
		t.Errorf("%d names", table.size())
	}

	// A stream that breaks and begins again.
	table.Apply(routes.Message{Op: routes.Begin})
	put(table, running("x", "http://x:1", "x.example.com"))
	table.Apply(routes.Message{Op: routes.Begin})
	put(table, running("y", "http://y:1", "y.example.com"))
	table.Apply(routes.Message{Op: routes.End})
	expect("begun twice", map[string]string{"x.example.com": "", "y.example.com": "y"})
	for _, odd := range []routes.Message{{Op: routes.Put}, {Op: routes.Remove}, {Op: "x"}, {Op: routes.Ping}, {Op: routes.End}} {
		table.Apply(odd)
	}
	expect("odd messages", map[string]string{"y.example.com": "y"})
}

func TestUpstreams(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"http://127.0.0.1:80", "http://[::1]:80", "https://a.internal", "http://a:1/", "unix:///run/a.sock"} {
		if _, _, err := parseUpstream(good); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"", "a:80", "ftp://a", "http://", "http://u:p@a", "http://a/b", "http://a?b", "unix://a/b", "unix:///", "http://2f" + unixSuffix} {
		if scheme, target, err := parseUpstream(bad); err == nil {
			t.Errorf("%q: %s %s", bad, scheme, target)
		}
	}
}

// Readers must never see a name of one project lead to another while writers change others.
func TestTableUnderChange(t *testing.T) {
	t.Parallel()
	table := NewTable(quietLogger())
	const n = 50
	for i := range n {
		put(table, running(fmt.Sprintf("p%d", i), "http://a:1", fmt.Sprintf("p%d.example.com", i)))
	}
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				for i := range n {
					if got, want := owner(table, fmt.Sprintf("p%d.example.com", i)), fmt.Sprintf("p%d", i); got != want {
						t.Errorf("%s answers for %s", got, want)
						return
					}
				}
			}
		})
	}
	for round := range 20 {
		for i := range n {
			put(table, running(fmt.Sprintf("p%d", i), "http://a:1", fmt.Sprintf("p%d.example.com", i), fmt.Sprintf("r%d.p%d.example.com", round, i)))
		}
		table.Apply(routes.Message{Op: routes.Begin})
		for i := range n {
			put(table, running(fmt.Sprintf("p%d", i), "http://a:1", fmt.Sprintf("p%d.example.com", i)))
		}
		table.Apply(routes.Message{Op: routes.End})
	}
	close(stop)
	readers.Wait()
}

const manyNames = 100_000

func fill(table *Table) {
	table.Apply(routes.Message{Op: routes.Begin})
	for i := range manyNames {
		put(table, routes.Route{Project: fmt.Sprintf("p%014d", i), Hosts: []string{fmt.Sprintf("project-%d.example.com", i)}, State: routes.Asleep})
	}
	table.Apply(routes.Message{Op: routes.End})
}

func BenchmarkLookup(b *testing.B) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	table := NewTable(quietLogger())
	fill(table)
	runtime.GC()
	runtime.ReadMemStats(&after)
	hosts := make([]string, 4096)
	for i := range hosts {
		hosts[i] = fmt.Sprintf("project-%d.example.com", i*23)
	}
	b.ReportAllocs()
	b.ResetTimer()
	i := 0
	for b.Loop() {
		host, _ := NormalHost(hosts[i%len(hosts)])
		if table.resolve(host) == nil {
			b.Fatal(host)
		}
		i++
	}
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/manyNames, "B/name")
}

// BenchmarkChange is a project that gets another name in a table of many.
func BenchmarkChange(b *testing.B) {
	table := NewTable(quietLogger())
	fill(table)
	b.ResetTimer()
	i := 0
	for b.Loop() {
		put(table, running("p00000000000001", "http://a:1", fmt.Sprintf("name-%d.example.com", i)))
		i++
	}
}
