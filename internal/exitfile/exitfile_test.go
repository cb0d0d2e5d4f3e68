package exitfile

import (
	"os"
	"path/filepath"
	"testing"
)

func TestWriteAndRead(t *testing.T) {
	t.Parallel()
	Write("", 1) // nobody asked
	path := filepath.Join(t.TempDir(), "exit")
	if _, ok := Read(path); ok {
		t.Error("read a file that is not there")
	}
	for _, code := range []int{0, 1, 255} {
		Write(path, code)
		if got, ok := Read(path); !ok || got != code {
			t.Errorf("read %d %t, want %d", got, ok, code)
		}
	}
	for _, content := range []string{"", "0", "x\n", "-1\n", "256\n"} { // 0 without its end was cut off
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, ok := Read(path); ok {
			t.Errorf("%q was read as %d", content, got)
		}
	}
}
