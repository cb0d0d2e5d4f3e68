package jshooks

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/internal/hookfiles"
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/picobase/picobase/plugins/jshooks/engine"
	"github.com/pocketbase/pocketbase/core"
)

// maxBody bounds the body of an upload: in JSON a text takes more than its size.
const maxBody = 4 * hookfiles.MaxBytes

const maxLabel = 200

// wish is what POST /api/v1/hooks is asked.
type wish struct {
	files    engine.Bundle
	label    string
	activate bool
	dryRun   bool
}

// readWish reads JSON, or an archive with the rest in the query.
func readWish(e *core.RequestEvent) (w wish, err error) {
	kind, _, _ := mime.ParseMediaType(e.Request.Header.Get("Content-Type"))
	switch kind {
	case "application/json":
		w, err = readJSON(e)
	case "application/zip", "application/x-zip-compressed":
		w, err = readArchive(e, unzip)
	case "application/gzip", "application/x-gzip", "application/x-tar+gzip", "application/x-gtar":
		w, err = readArchive(e, untar)
	default:
		return w, errType
	}
	if err != nil {
		return w, err
	}
	if len(w.label) > maxLabel {
		return w, apierr.Invalid("label", "must have at most 200 bytes.")
	}
	if err := hookfiles.Check(w.files); err != nil {
		return w, apierr.Invalid("files", err.Error()+".")
	}
	return w, nil
}

func readJSON(e *core.RequestEvent) (wish, error) {
	in := struct {
		Files    map[string]string `json:"files"`
		Label    string            `json:"label"`
		Activate *bool             `json:"activate"`
		DryRun   bool              `json:"dryRun"`
	}{}
	if err := httpapi.Decode(e, &in); err != nil {
		return wish{}, err
	}
	w := wish{files: make(engine.Bundle, len(in.Files)), label: in.Label, activate: in.Activate == nil || *in.Activate, dryRun: in.DryRun}
	for name, text := range in.Files {
		w.files[name] = []byte(text)
	}
	return w, nil
}

func readArchive(e *core.RequestEvent, unpack func(body []byte, add addFile) error) (wish, error) {
	q, err := httpapi.ParseQuery(e.Request.URL.RawQuery, "label", "activate", "dryRun")
	if err != nil {
		return wish{}, err
	}
	w := wish{files: engine.Bundle{}, label: q.Get("label"), activate: true}
	for name, target := range map[string]*bool{"activate": &w.activate, "dryRun": &w.dryRun} {
		if text := q.Get(name); text != "" {
			if *target, err = strconv.ParseBool(text); err != nil {
				return wish{}, apierr.Invalid(name, "must be true or false.")
			}
		}
	}
	body, err := io.ReadAll(e.Request.Body)
	if err != nil {
		return wish{}, err
	}
	left := int64(hookfiles.MaxBytes)
	err = unpack(body, func(name string, content io.Reader) error {
		if leadsOut(name) {
			return fmt.Errorf("%q leads out of the bundle", name)
		}
		name = path.Clean(name) // "./main.pb.js", as `tar -C jsvm_hooks .` writes it
		if !hookfiles.Belongs(name) {
			return nil
		}
		// Which of the two runs would depend on who unpacks it.
		if _, twice := w.files[name]; twice {
			return fmt.Errorf("%q is in it twice", name)
		}
		text, err := io.ReadAll(io.LimitReader(content, left+1))
		if left -= int64(len(text)); left < 0 || len(w.files) > hookfiles.MaxFiles {
			return errors.New("it holds more than a bundle of hooks may")
		}
		w.files[name] = text
		return err
	})
	if err != nil {
		return wish{}, apierr.Invalid("files", "the archive cannot be read: "+err.Error()+".").WithCause(err)
	}
	return w, nil
}

// leadsOut reports whether the path of a file in an archive is none below where it
// is unpacked. An archive with one was made to do harm.
func leadsOut(name string) bool {
	return path.IsAbs(name) || slices.Contains(strings.Split(name, "/"), "..") || strings.Contains(name, "\\")
}

// addFile takes one file of an archive.
type addFile func(name string, content io.Reader) error

func unzip(body []byte, add addFile) error {
	archive, err := zip.NewReader(bytes.NewReader(body), int64(len(body)))
	if err != nil {
		return err
	}
	for _, file := range archive.File {
		if !file.Mode().IsRegular() {
			continue
		}
		content, err := file.Open()
		if err != nil {
			return err
		}
		err = errors.Join(add(file.Name, content), content.Close())
		if err != nil {
			return err
		}
	}
	return nil
}

// maxSkipped bounds what is read of an archive past what belongs to the bundle.
const maxSkipped = 64 << 20

func untar(body []byte, add addFile) error {
	unpacked, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return err
	}
	archive := tar.NewReader(io.LimitReader(unpacked, maxSkipped))
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		if err := add(header.Name, archive); err != nil {
			return err
		}
	}
}

// statusOf is 201 for what is new.
func statusOf(fresh bool) int {
	if fresh {
		return http.StatusCreated
	}
	return http.StatusOK
}
