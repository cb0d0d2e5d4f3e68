package jshooks

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/picobase/picobase/internal/hookfiles"
	"github.com/picobase/picobase/plugins/jshooks/engine"
)

type archived struct {
	name, text string
	link       bool
}

func zipOf(t *testing.T, files []archived) []byte {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for _, file := range files {
		header := &zip.FileHeader{Name: file.name, Method: zip.Deflate}
		header.SetMode(0o600)
		if file.link {
			header.SetMode(0o777 | 1<<27) // fs.ModeSymlink
		}
		w, err := z.CreateHeader(header)
		if err == nil {
			_, err = w.Write([]byte(file.text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func tarOf(t *testing.T, files []archived) []byte {
	t.Helper()
	var out bytes.Buffer
	g := gzip.NewWriter(&out)
	a := tar.NewWriter(g)
	for _, file := range files {
		header := &tar.Header{Name: file.name, Mode: 0o600, Size: int64(len(file.text)), Typeflag: tar.TypeReg}
		if file.link {
			header.Typeflag, header.Linkname, header.Size = tar.TypeSymlink, file.text, 0
		}
		err := a.WriteHeader(header)
		if err == nil && !file.link {
			_, err = a.Write([]byte(file.text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(a.Close(), g.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestHostileArchives(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	good := archived{name: "main.pb.js", text: slugHook("x")}
	many := []archived{good}
	for i := range hookfiles.MaxFiles {
		many = append(many, archived{name: fmt.Sprintf("lib/%d.js", i)})
	}
	crowd := []archived{good}
	for i := range 20_000 {
		crowd = append(crowd, archived{name: fmt.Sprintf("docs/%d.md", i)})
	}
	const refused, taken = http.StatusBadRequest, http.StatusOK
	for name, c := range map[string]struct {
		files  []archived
		status int
		says   string
	}{
		"parent":           {[]archived{good, {name: "../lib.js"}}, refused, "leads out"},
		"parent inside":    {[]archived{good, {name: "lib/../../lib.js"}}, refused, "leads out"},
		"parent of no use": {[]archived{good, {name: "../passwd"}}, refused, "leads out"},
		"absolute":         {[]archived{good, {name: "/etc/lib.js"}}, refused, "leads out"},
		"backslash":        {[]archived{good, {name: `..\lib.js`}}, refused, "leads out"},
		"drive":            {[]archived{good, {name: "c:lib.js"}}, refused, "is not a path"},
		"twice":            {[]archived{good, {name: "main.pb.js", text: slugHook("y")}}, refused, "twice"},
		"twice in effect":  {[]archived{good, {name: "./main.pb.js", text: slugHook("y")}}, refused, "twice"},
		"many":             {many, refused, "more than"},
		"no text":          {[]archived{good, {name: "lib.js", text: "\xff"}}, refused, "UTF-8"},
		"long name":        {[]archived{good, {name: strings.Repeat("x", 300) + ".js"}}, refused, "is not a path"},
		"links":            {[]archived{good, {name: "link.js", text: "/etc/passwd", link: true}}, taken, `"files":1`},
		"crowd":            {crowd, taken, `"files":1`},
	} {
		for kind, body := range map[string][]byte{"application/zip": zipOf(t, c.files), "application/gzip": tarOf(t, c.files)} {
			got := f.send(http.MethodPost, "/api/v1/hooks?dryRun=true", kind, body)
			if got.status != c.status || !strings.Contains(got.text, c.says) {
				t.Errorf("%s as %s: got %d %.300s, want %d %q", name, kind, got.status, got.text, c.status, c.says)
			}
		}
	}
	var bomb bytes.Buffer
	g := gzip.NewWriter(&bomb)
	a := tar.NewWriter(g)
	for _, name := range []string{"main.pb.js", "left-out.bin"} {
		size := int64(100 << 20)
		if err := a.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: size, Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		for range size >> 20 {
			if _, err := a.Write(make([]byte, 1<<20)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := errors.Join(a.Close(), g.Close()); err != nil {
		t.Fatal(err)
	}
	f.want(f.send(http.MethodPost, "/api/v1/hooks", "application/gzip", bomb.Bytes()), 400, "validation_failed")
}

// What takes six bytes for one in JSON is stored and read again.
func TestLargestBundle(t *testing.T) {
	t.Parallel()
	files := engine.Bundle{}
	for i := range hookfiles.MaxFiles - 1 {
		files[fmt.Sprintf("%s%03d.js", strings.Repeat("<", hookfiles.MaxPath-6), i)] = nil
	}
	files["a.pb.js"] = bytes.Repeat([]byte("<"), hookfiles.MaxBytes)
	if err := hookfiles.Check(files); err != nil {
		t.Fatal(err)
	}
	packed, _, err := pack(files)
	if err != nil {
		t.Fatal(err)
	}
	got, err := unpack(packed)
	if err != nil || !maps.EqualFunc(got, files, bytes.Equal) {
		t.Errorf("%d of %d files, %v", len(got), len(files), err)
	}
}

// A version that is damaged in the database is shown and said once, not twice a
// second, and another one takes its place.
func TestDamagedVersion(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	f.push(slugHook("one"))
	if _, err := f.app.NonconcurrentDB().NewQuery("UPDATE _pico_hooks SET content = 'x'").Execute(); err != nil {
		t.Fatal(err)
	}
	f.again()
	list := f.list()
	if len(list.Problems) != 1 || !strings.Contains(list.Problems[0].Message, "damaged") || list.Running != nil {
		t.Errorf("%+v", list)
	}
	if finding, _ := f.Check(t.Context()); !finding.Degraded {
		t.Errorf("health %+v", finding)
	}
	for range 3 {
		if err := f.poll(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if n := strings.Count(f.log.String(), "damaged"); n != 1 {
		t.Errorf("the operator was told %d times", n)
	}
	for method, path := range map[string]string{http.MethodPost: "/api/v1/hooks/1/activate", http.MethodGet: "/api/v1/hooks/1"} {
		f.want(f.call(method, path, nil), http.StatusUnprocessableEntity, "hooks_invalid")
	}
	if f.push(slugHook("two")); f.slug() != "two" || len(f.list().Problems) != 0 {
		t.Error("a new version does not mend it")
	}
}

// Files that each stay within their time do not keep a start, or whoever wants to
// switch hooks off, waiting for the sum of it.
func TestSlowLoad(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	f.push(slugHook("one"))
	f.changing.Lock()
	f.loadLimit = 300 * time.Millisecond
	f.changing.Unlock()
	files := map[string]string{}
	for i := range 8 {
		files[fmt.Sprintf("%d.pb.js", i)] = "const end = Date.now() + 200; while (Date.now() < end) {}"
	}
	begun := time.Now()
	got := f.call(http.MethodPost, "/api/v1/hooks", map[string]any{"files": files})
	f.want(got, http.StatusUnprocessableEntity, "hooks_invalid")
	if took := time.Since(begun); took > 1500*time.Millisecond || !strings.Contains(got.text, "300ms") {
		t.Errorf("it took %s: %s", took, got.text)
	}
	if f.slug() != "one" {
		t.Error("the version before is gone")
	}
}

// A client that goes away while its change is put in force harms nothing: the
// poller does it.
func TestGoneClient(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	f.push(slugHook("one"))
	f.push(slugHook("two"))
	f.changing.Lock()
	if err := activate(f.app, 1, time.Now()); err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	err := f.apply(gone)
	problems := f.status.Load().problems
	f.changing.Unlock()
	if err != nil || len(problems) > 0 {
		t.Errorf("%v, %+v", err, problems)
	}
	eventually(t, "version one", func() bool { return f.slug() == "one" })
}

func TestDiffOfLargeFiles(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	text := func() []byte {
		var b bytes.Buffer
		for b.Len() < hookfiles.MaxBytes-10 {
			fmt.Fprintf(&b, "%d\n", random.IntN(100))
		}
		return b.Bytes()
	}
	begun := time.Now()
	diffs := diffFiles(engine.Bundle{"a.pb.js": text()}, engine.Bundle{"a.pb.js": text()})
	if took := time.Since(begun); took > time.Minute { // one that tries all ways takes hours
		t.Errorf("it took %s", took)
	}
	if len(diffs) != 1 || diffs[0].Change != "changed" {
		t.Errorf("%d differences", len(diffs))
	}
}

// A version that another process has activated meanwhile is not deleted, and the
// audit trail does not say so.
func TestDeleteOfTheActive(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	f.push(slugHook("one"))
	if err := deleteVersion(f.app, 1); !errors.Is(err, errActive) {
		t.Errorf("got %v, want errActive", err)
	}
}

func TestSecretsAreMaskedInLogs(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	for name, value := range map[string]string{"TOKEN": "sk_live_hush", "LONGER": "sk_live_hush_hush", "SPACED": "two words", "SHORT": "abc"} {
		f.call(http.MethodPut, "/api/v1/hooks/secrets/"+name, map[string]string{"value": value})
	}
	f.push(`routerAdd('GET', '/leak', (e) => {
  console.log('Bearer ' + $secrets.get('TOKEN'), $secrets.get('LONGER'), encodeURIComponent($secrets.get('SPACED')), $secrets.get('SHORT'))
  throw new Error('with ' + $secrets.get('TOKEN'))
})`)
	f.send(http.MethodGet, "/leak", "", nil)
	text := f.call(http.MethodGet, "/api/v1/hooks/logs", nil).text
	for _, want := range []string{"Bearer [secret TOKEN] [secret LONGER] [secret SPACED] abc", "with [secret TOKEN]"} {
		if !strings.Contains(text, want) {
			t.Errorf("the log lacks %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "hush") {
		t.Errorf("the log shows a secret:\n%s", text)
	}
}

// A clock that was set back hides no change.
func TestSecretsAfterAClockWasSetBack(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	for _, name := range []string{"A", "B"} {
		f.call(http.MethodPut, "/api/v1/hooks/secrets/"+name, map[string]string{"value": "old"})
	}
	before, err := secretsVersion(f.app)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.app.NonconcurrentDB().NewQuery("UPDATE _pico_hook_secrets SET value = 'new', updated = '2001-01-01 00:00:00.000Z' WHERE id = 'A'").Execute()
	if err != nil {
		t.Fatal(err)
	}
	if after, err := secretsVersion(f.app); err != nil || after == before {
		t.Errorf("the version stays %q, %v", after, err)
	}
	eventually(t, "the new value", func() bool { value, _ := f.secrets.get("A"); return value == "new" })
}

// A value may look like what is stored for another one.
func TestOddSecretValues(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	values := []string{"enc:abc", "plain:abc", "plain:enc:abc"}
	for _, value := range values {
		f.call(http.MethodPut, "/api/v1/hooks/secrets/ODD", map[string]string{"value": value})
		if got, _ := f.secrets.get("ODD"); got != value {
			t.Errorf("%q is read as %q", value, got)
		}
	}
}
