package sign

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/picobase/picobase/internal/secret"
	"github.com/picobase/picobase/internal/token"
)

func TestTheKeyIsMadeOnceAndKept(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "key.pem")
	first, err := Load(path, secret.String{})
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	second, err := Load(path, secret.String{})
	if err != nil || second.Public() != first.Public() || second.id != first.id {
		t.Fatalf("another key: %v", err)
	}
	content, _ := os.ReadFile(path)
	given, err := Load("/nonexistent", secret.New(string(content)))
	if err != nil || given.Public() != first.Public() {
		t.Fatalf("given: %v", err)
	}
	if _, err := Load("", secret.New("nonsense")); err == nil {
		t.Error("nonsense was taken for a key")
	}
}

func TestATokenIsForOneProjectAndFiveMinutes(t *testing.T) {
	t.Parallel()
	key, err := Load(filepath.Join(t.TempDir(), "key.pem"), secret.String{})
	if err != nil {
		t.Fatal(err)
	}
	raw, expires, err := key.Token(Claims{Project: "a", Subject: "u1", Email: "u@example.com", For: time.Hour}, time.Now())
	if err != nil || time.Until(expires) > token.MaxLifetime {
		t.Fatalf("%v until %v", err, expires)
	}
	verifier, err := token.NewVerifier(key.Public(), "a")
	if err != nil {
		t.Fatal(err)
	}
	claims, err := verifier.Verify(raw)
	if err != nil || claims.Subject != "u1" || claims.Email != "u@example.com" {
		t.Fatalf("%+v, %v", claims, err)
	}
	other, _ := token.NewVerifier(key.Public(), "b")
	if _, err := other.Verify(raw); err == nil {
		t.Error("project b took a's token")
	}
}
