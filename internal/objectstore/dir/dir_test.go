package dir

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/picobase/picobase/internal/objectstore"
	"github.com/picobase/picobase/internal/objectstore/storetest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) objectstore.Store { return New(filepath.Join(t.TempDir(), "root")) })
}

func TestConformanceOfPrefix(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) objectstore.Store {
		inner := New(t.TempDir())
		for _, key := range []string{"b-", "b.d", "b0/x"} {
			put(t, inner, key, "x")
		}
		return objectstore.Prefix(inner, "b/")
	})
}

func put(t *testing.T, store *Store, key, content string) {
	t.Helper()
	if _, err := store.Put(t.Context(), key, strings.NewReader(content), objectstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	root := filepath.Join(base, "root")
	store := New(root)
	put(t, store, "object", "x")
	outside := filepath.Join(base, "outside")
	if err := os.WriteFile(outside, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for link, target := range map[string]string{"link": outside, "up": ".."} {
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range []string{
		"", ".", "..", "../outside", "a/../../outside", "a/..", "./a", "/a", outside, "a//b", "a/", "a\x00b", "\xff",
		own, lockFile, own + "/" + tempPrefix + "x", ".PicoBase/lock", "up/outside", "up/root/object",
	} {
		if _, err := store.Put(t.Context(), key, strings.NewReader("x"), objectstore.PutOptions{}); err == nil {
			t.Errorf("put %q passed", key)
		}
		if _, err := objectstore.ReadAll(t.Context(), store, key); err == nil {
			t.Errorf("get %q passed", key)
		}
		if _, err := store.Stat(t.Context(), key); err == nil {
			t.Errorf("stat %q passed", key)
		}
		_ = store.Delete(t.Context(), key)
	}
	if _, err := objectstore.ReadAll(t.Context(), store, "link"); err == nil {
		t.Error("a link was followed")
	}
	if content, err := os.ReadFile(outside); err != nil || string(content) != "secret" {
		t.Errorf("outside is %q, %v", content, err)
	}
	if got := files(t, base); !slices.Equal(got, []string{"outside", "root/.picobase/lock", "root/link", "root/object", "root/up"}) {
		t.Errorf("there are %q", got)
	}
}

// files returns the paths of what is no folder.
func files(t *testing.T, root string) (paths []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			path, err = filepath.Rel(root, path)
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

func TestModes(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "deep", "root")
	put(t, New(root), "a/b", "x")
	err := filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestEmptyFoldersGo(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	store := New(root)
	put(t, store, "a/b/c/d", "x")
	put(t, store, "a/e", "x")
	if err := store.Delete(t.Context(), "a/b/c/d", "a"); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(filepath.Join(root, "a"))
	if err != nil || len(entries) != 1 || entries[0].Name() != "e" {
		t.Errorf("in a are %v, %v", entries, err)
	}
	if err := store.Delete(t.Context(), "a/e"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "a")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a stays: %v", err)
	}
}

func TestFailedPutLeavesNothing(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	store := New(root)
	put(t, store, "object", "x")
	for name, put := range map[string]func() error{
		"body": func() error {
			_, err := store.Put(t.Context(), "a/b", io.MultiReader(strings.NewReader("x"), iotest.ErrReader(errors.New("broke"))), objectstore.PutOptions{})
			return err
		},
		"condition": func() error {
			_, err := store.Put(t.Context(), "object", strings.NewReader("y"), objectstore.PutOptions{IfAbsent: true})
			return err
		},
		"below an object": func() error {
			_, err := store.Put(t.Context(), "object/below", strings.NewReader("y"), objectstore.PutOptions{})
			return err
		},
		"name too long": func() error {
			_, err := store.Put(t.Context(), strings.Repeat("x", 300), strings.NewReader("y"), objectstore.PutOptions{})
			return err
		},
	} {
		if put() == nil {
			t.Errorf("%s: passed", name)
		}
		if got := files(t, root); !slices.Equal(got, []string{lockFile, "object"}) {
			t.Errorf("%s: left are %q", name, got)
		}
	}
}

// TestMain lets a test be another process: see hangingPut and racingPut.
func TestMain(m *testing.M) {
	root := os.Getenv("DIR_TEST_ROOT")
	switch os.Getenv("DIR_TEST_AS") {
	case "hanging":
		hangingPut(root)
	case "racing":
		racingPut(root)
	default:
		os.Exit(m.Run())
	}
}

// another starts this test as another process.
func another(t *testing.T, as, root string) (cmd *exec.Cmd, out *bufio.Reader) {
	t.Helper()
	cmd = exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "DIR_TEST_AS="+as, "DIR_TEST_ROOT="+root)
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewReader(pipe)
}

// hangingPut never ends, and says when it has begun to write.
func hangingPut(root string) {
	body, writer := io.Pipe()
	go func() {
		_, _ = writer.Write(make([]byte, 1<<20))
		fmt.Println("written")
	}()
	_, err := New(root).Put(context.Background(), "hanging", body, objectstore.PutOptions{})
	fmt.Println(err)
}

// racingPut counts 50 times on an object, each time on top of what it saw.
func racingPut(root string) {
	store, ctx := New(root), context.Background()
	for done := 0; done < 50; {
		info, statErr := store.Stat(ctx, "counter")
		content, readErr := objectstore.ReadAll(ctx, store, "counter")
		count, numberErr := strconv.Atoi(string(content))
		_, err := store.Put(ctx, "counter", strings.NewReader(strconv.Itoa(count+1)), objectstore.PutOptions{IfMatch: info.ETag})
		if err == nil {
			done++
		}
		if errors.Is(err, objectstore.ErrChanged) {
			err = nil
		}
		if err := errors.Join(statErr, readErr, numberErr, err); err != nil {
			fmt.Println(err)
			return
		}
	}
	fmt.Println("done")
}

func TestProcessesRace(t *testing.T) {
	t.Parallel()
	const processes = 3
	root := t.TempDir()
	put(t, New(root), "counter", "0")
	var wg sync.WaitGroup
	for range processes {
		cmd, out := another(t, "racing", root)
		wg.Go(func() {
			if line, err := out.ReadString('\n'); line != "done\n" {
				t.Errorf("%q, %v", line, err)
			}
			_ = cmd.Wait()
		})
	}
	wg.Wait()
	if got, err := objectstore.ReadAll(t.Context(), New(root), "counter"); string(got) != "150" {
		t.Errorf("counted to %s, %v", got, err)
	}
}

func TestKilledPut(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	put(t, New(root), "object", "x")
	cmd, out := another(t, "hanging", root)
	if line, err := out.ReadString('\n'); line != "written\n" {
		t.Fatalf("%q, %v", line, err)
	}
	check := func(when string, want int) {
		t.Helper()
		// Another process than the one that is killed comes by.
		put(t, New(root), "object", "y")
		if got := files(t, root); len(got) != want {
			t.Errorf("%s: there are %q", when, got)
		}
		for info, err := range New(root).List(t.Context(), "", "") {
			if err != nil || info.Key != "object" {
				t.Errorf("%s: lists %+v, %v", when, info, err)
			}
		}
	}
	check("while it runs", 3)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	check("after it was killed", 2)
}

// The ETag of a small object is of its content alone, so that it survives a
// copy of the folder.
func TestETagSurvivesCopy(t *testing.T) {
	t.Parallel()
	from, to := t.TempDir(), t.TempDir()
	put(t, New(from), "a/b", "x")
	if err := os.CopyFS(filepath.Join(to, "copy"), os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	a, errA := New(from).Stat(t.Context(), "a/b")
	b, errB := New(filepath.Join(to, "copy")).Stat(t.Context(), "a/b")
	if a.ETag != b.ETag || errA != nil || errB != nil {
		t.Errorf("%+v, %v; copy %+v, %v", a, errA, b, errB)
	}
}
