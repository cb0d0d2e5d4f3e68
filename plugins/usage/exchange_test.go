package usage

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/router"
)

func TestUploadAndDownload(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{}, nil)
	file := bytes.Repeat([]byte("picobase"), 200_000)
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("file_many", "data.bin")
	if err != nil {
		t.Fatal(err)
	}
	part.Write(file)
	form.Close()
	sent := int64(body.Len())

	// Without a length in the header: what is read counts.
	status, answer := s.do(http.MethodPost, "/api/collections/demo1/records?fields=id,file_many", io.MultiReader(&body),
		"Content-Type", form.FormDataContentType(), "Authorization", s.superuserToken())
	if status != http.StatusOK {
		t.Fatalf("upload: %d %s", status, answer)
	}
	rows := s.flushed(1)
	want := storedRow{rows[0].Hour, "", "records", 2, 1, sent, int64(len(answer))}
	if !slices.Equal(rows, []storedRow{want}) {
		t.Errorf("upload: got %+v, want %+v", rows, want)
	}

	quoted := strings.Split(answer, `"`)
	id, name := "", ""
	for i, word := range quoted {
		switch {
		case word == "id":
			id = quoted[i+2]
		case strings.HasSuffix(word, ".bin"):
			name = word
		}
	}
	s.exec("DELETE FROM _pico_usage")
	status, downloaded := s.get("/api/files/demo1/" + id + "/" + name)
	if status != http.StatusOK || downloaded != string(file) {
		t.Fatalf("download: %d, %d bytes", status, len(downloaded))
	}
	rows = s.flushed(1)
	want = storedRow{rows[0].Hour, "", "files", 2, 1, 0, int64(len(file))}
	if !slices.Equal(rows, []storedRow{want}) {
		t.Errorf("download: got %+v, want %+v", rows, want)
	}
}

// fileSender tells whether it was asked to send a file by itself.
type fileSender struct {
	*httptest.ResponseRecorder
	source io.Reader
}

func (s *fileSender) ReadFrom(r io.Reader) (int64, error) {
	s.source = r
	return io.Copy(s.ResponseRecorder, r)
}

func TestFilesAreSentWithoutCopying(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/file"
	if err := os.WriteFile(path, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	sender := &fileSender{ResponseRecorder: httptest.NewRecorder()}
	e := &core.RequestEvent{}
	e.Request = httptest.NewRequest(http.MethodGet, "/", nil)
	e.Response = &router.ResponseWriter{ResponseWriter: sender}
	x := &exchange{}
	x.attach(nil, e)
	if err := e.FileFS(os.DirFS(strings.TrimSuffix(path, "/file")), "file"); err != nil {
		t.Fatal(err)
	}
	limited, ok := sender.source.(*io.LimitedReader)
	if !ok {
		t.Fatalf("net/http got a %T, want the file", sender.source)
	}
	if _, ok := limited.R.(*os.File); !ok {
		t.Errorf("net/http got a %T, want the file", limited.R)
	}
	if x.response.bytes != int64(len("content")) || e.Status() != http.StatusOK {
		t.Errorf("counted %d bytes, status %d", x.response.bytes, e.Status())
	}
}
