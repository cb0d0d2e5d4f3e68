package enginetest

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/moby/moby/client"
)

// dockerfile is what the project's own Dockerfile makes of a binary.
const dockerfile = `FROM scratch
COPY picobase /picobase
COPY --chown=65532:65532 data /data
USER 65532:65532
ENV PORT=8090
EXPOSE 8090
HEALTHCHECK --interval=1s --timeout=3s --start-period=20s CMD ["/picobase", "healthcheck"]
ENTRYPOINT ["/picobase"]
CMD ["serve", "--dir", "/data", "--log-format", "json"]
`

// Build makes an image of one static binary, as the project's Dockerfile does, and
// returns its id.
func (e *Engine) Build(t *testing.T, tag, binary string) string {
	t.Helper()
	content, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	var context bytes.Buffer
	archive := tar.NewWriter(&context)
	for _, file := range []struct {
		header  tar.Header
		content []byte
	}{
		{tar.Header{Name: "Dockerfile", Mode: 0o644}, []byte(dockerfile)},
		{tar.Header{Name: "picobase", Mode: 0o755}, content},
		{tar.Header{Name: "data/", Typeflag: tar.TypeDir, Mode: 0o755}, nil},
	} {
		file.header.Size = int64(len(file.content))
		if err := archive.WriteHeader(&file.header); err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Write(file.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	built, err := e.API.ImageBuild(t.Context(), &context, client.ImageBuildOptions{Tags: []string{tag}, Remove: true})
	if err != nil {
		t.Fatal(fmt.Errorf("build the image: %w", err))
	}
	defer built.Body.Close()
	out, err := io.ReadAll(built.Body)
	if err != nil || bytes.Contains(out, []byte(`"errorDetail"`)) {
		t.Fatalf("build the image: %v\n%s", err, out)
	}
	found, err := e.API.ImageInspect(t.Context(), tag)
	if err != nil {
		t.Fatal(err)
	}
	return found.ID
}

// Copy gives the image to another engine, where it has the same id.
func (e *Engine) Copy(t *testing.T, image string, to *Engine) {
	t.Helper()
	saved, err := e.API.ImageSave(t.Context(), []string{image})
	if err != nil {
		t.Fatal(err)
	}
	defer saved.Close()
	loaded, err := to.API.ImageLoad(t.Context(), saved)
	if err != nil {
		t.Fatal(err)
	}
	defer loaded.Close()
	if _, err := io.Copy(io.Discard, loaded); err != nil {
		t.Fatal(err)
	}
}
