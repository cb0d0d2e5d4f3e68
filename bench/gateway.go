package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	bucketAccessKey = "bench-access-key"
	bucketSecretKey = "bench-secret-key-0123456789"
)

// gateway is a real S3 server, versitygw, on this machine. It keeps objects as
// files, which is how measurements look into a bucket without asking for it.
type gateway struct {
	url     string
	dir     string
	buckets int
	cmd     *exec.Cmd
	exited  chan struct{}
}

func startGateway(ctx context.Context, binary, dir string) (*gateway, error) {
	if _, err := os.Stat(binary); err != nil {
		return nil, fmt.Errorf("%w (run make tools first)", err)
	}
	addr, err := freeAddress()
	if err != nil {
		return nil, err
	}
	g := &gateway{url: "http://" + addr, dir: dir, exited: make(chan struct{})}
	for _, name := range []string{g.data(""), g.meta("")} {
		if err := os.MkdirAll(name, 0o700); err != nil {
			return nil, err
		}
	}
	// The sidecar makes it independent of the file system's extended attributes.
	g.cmd = exec.Command(binary, "--port", addr, "--region", "auto", "posix", "--sidecar", g.meta(""), g.data(""))
	g.cmd.Env = append(serverEnv(os.Environ()), "ROOT_ACCESS_KEY="+bucketAccessKey, "ROOT_SECRET_KEY="+bucketSecretKey)
	var output bytes.Buffer
	g.cmd.Stderr = &output
	if err := g.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = g.cmd.Wait() // reaped; how it ended shows in its output
		close(g.exited)
	}()
	for !g.answers(ctx) {
		select {
		case <-g.exited:
			return nil, fmt.Errorf("the S3 server ended: %s", output.Bytes())
		case <-ctx.Done():
			g.stop()
			return nil, ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
	return g, nil
}

func (g *gateway) answers(ctx context.Context) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.url, nil)
	if err != nil {
		return false
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_ = res.Body.Close()
	return true
}

func (g *gateway) stop() {
	_ = g.cmd.Process.Kill()
	<-g.exited
}

func (g *gateway) data(bucket string) string { return filepath.Join(g.dir, "data", bucket) }
func (g *gateway) meta(bucket string) string { return filepath.Join(g.dir, "meta", bucket) }

// level0 is the folder of what is replicated first.
func (g *gateway) level0(bucket string) string {
	return filepath.Join(g.data(bucket), "replica", "data.db", "0000")
}

// env is what a server needs to know of a bucket.
func (g *gateway) env(bucket string) []string {
	return []string{
		"PICOBASE_S3_ENDPOINT=" + g.url, "PICOBASE_S3_REGION=auto", "PICOBASE_S3_BUCKET=" + bucket,
		"PICOBASE_S3_ACCESS_KEY_ID=" + bucketAccessKey, "PICOBASE_S3_SECRET_ACCESS_KEY=" + bucketSecretKey,
	}
}

// newBucket makes an empty bucket: the server takes every folder for one.
func (g *gateway) newBucket() (string, error) {
	g.buckets++
	name := fmt.Sprintf("bucket-%d", g.buckets)
	return name, os.Mkdir(g.data(name), 0o700)
}

// copyBucket makes a bucket with what is in another. The objects are not copied
// but have a second name: the server replaces files and never changes one.
func (g *gateway) copyBucket(from string) (string, error) {
	to, err := g.newBucket()
	if err != nil {
		return "", err
	}
	if err := copyTree(g.data(from), g.data(to), os.Link); err != nil {
		return "", err
	}
	return to, copyTree(g.meta(from), g.meta(to), copyFile)
}

func (g *gateway) removeBucket(name string) error {
	return errors.Join(os.RemoveAll(g.data(name)), os.RemoveAll(g.meta(name)))
}

func copyTree(from, to string, file func(from, to string) error) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := filepath.Join(to, strings.TrimPrefix(path, from))
		if entry.IsDir() {
			return os.MkdirAll(target, 0o700)
		}
		return file(path, target)
	})
}

func copyFile(from, to string) error {
	raw, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, raw, 0o600)
}
