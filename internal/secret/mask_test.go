package secret

import (
	"slices"
	"testing"
)

func TestMask(t *testing.T) {
	t.Parallel()
	secrets := []String{New("short"), New("correct horse"), New("correct horse battery"), New("")}
	for range 2 {
		got := Mask("a short correct horse battery, a correct horse.", slices.Values(secrets))
		if got != "a short ******, a ******." {
			t.Errorf("got %q", got)
		}
		slices.Reverse(secrets)
	}
}
