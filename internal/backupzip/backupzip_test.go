package backupzip

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func zipped(t *testing.T, edit func(*zip.FileHeader), entries ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for i := 0; i < len(entries); i += 2 {
		header := &zip.FileHeader{Name: entries[i], Method: zip.Deflate}
		if edit != nil {
			edit(header)
		}
		to, err := z.CreateHeader(header)
		if err == nil {
			_, err = io.WriteString(to, entries[i+1])
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

func open(content []byte) (*Archive, error) {
	return Open(bytes.NewReader(content), int64(len(content)))
}

// Package snapshots tests what is refused with databases; here are the rules
// that need none.
func TestOpen(t *testing.T) {
	t.Parallel()
	link := func(header *zip.FileHeader) {
		if header.Name == "link" {
			header.SetMode(fs.ModeSymlink | 0o777)
		}
	}
	for name, c := range map[string]struct {
		content []byte
		want    string
	}{
		"good":             {zipped(t, nil, "data.db", "x", "storage/a/b", "y", "pb_hooks/", ""), ""},
		"a link":           {zipped(t, link, "data.db", "x", "link", "/etc/passwd"), ""},
		"odd but harmless": {zipped(t, nil, "data.db", "x", "storage/a\\..\\b", "y", "..x", "z"), ""},
		"dot":              {zipped(t, nil, "data.db", "x", "./", ""), "is no name"},
		"up as a folder":   {zipped(t, nil, "data.db", "x", "../", ""), "is no name"},
		"deep":             {zipped(t, nil, "data.db", "x", "a/b", "", "a/b/c/d", ""), `"a/b" is a file and a folder`},
		"data.db a folder": {zipped(t, nil, "data.db/", ""), "it has no data.db"},
		"empty":            {zipped(t, nil), "it has no data.db"},
	} {
		a, err := open(c.content)
		if (err == nil) != (c.want == "") || err != nil && (!errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if err != nil {
			continue
		}
		into := filepath.Join(t.TempDir(), "a", "b")
		if err := a.Extract(t.Context(), into); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Lstat(filepath.Join(into, "link")); err == nil {
			t.Errorf("%s: a link was extracted", name)
		}
		info, err := os.Stat(filepath.Join(into, "data.db"))
		if err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: data.db: %v, %v", name, info, err)
		}
		if info, err := os.Stat(into); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: the folder: %v, %v", name, info, err)
		}
	}
}

// The size that the list of contents states is enough to refuse.
func TestOpenRefusesBombs(t *testing.T) {
	t.Parallel()
	for size, refused := range map[uint64]bool{bombBytes: false, bombBytes + 1: true, 1 << 63: true, 1<<64 - 1: true} {
		var out bytes.Buffer
		z := zip.NewWriter(&out)
		header := &zip.FileHeader{Name: DataDB, Method: zip.Deflate, CompressedSize64: 1, UncompressedSize64: size}
		to, err := z.CreateRaw(header)
		if err == nil {
			_, err = to.Write([]byte{0})
		}
		if err := errors.Join(err, z.Close()); err != nil {
			t.Fatal(err)
		}
		if _, err := open(out.Bytes()); errors.Is(err, ErrInvalid) != refused {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

func TestExtractLeavesNothing(t *testing.T) {
	t.Parallel()
	content := zipped(t, nil, "data.db", strings.Repeat("database", 1000), "storage/a", "x")
	content[60] ^= 0xff
	a, err := open(content)
	if err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	into := filepath.Join(t.TempDir(), "into")
	for name, c := range map[string]struct {
		ctx  context.Context
		want error
	}{"damaged": {t.Context(), ErrInvalid}, "interrupted": {ended, context.Canceled}} {
		if err := a.Extract(c.ctx, into); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(into); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v is left", name, err)
		}
	}
	if err := a.Check(t.Context()); !errors.Is(err, ErrInvalid) {
		t.Errorf("check: %v", err)
	}
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "mine"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := a.Extract(t.Context(), full); err == nil || errors.Is(err, ErrInvalid) {
		t.Errorf("into a full folder: %v", err)
	}
	if _, err := os.Stat(filepath.Join(full, "mine")); err != nil {
		t.Errorf("what was there: %v", err)
	}
}

func TestNeedSpace(t *testing.T) {
	t.Parallel()
	if err := NeedSpace(t.TempDir(), 1); err != nil {
		t.Error(err)
	}
	err := NeedSpace(t.TempDir(), 1<<60)
	if !errors.Is(err, ErrNoSpace) || !strings.Contains(err.Error(), "1099511627840 MB are needed and ") {
		t.Error(err)
	}
	if err := NeedSpace("/nowhere", 1); err == nil || errors.Is(err, ErrNoSpace) {
		t.Error(err)
	}
}
