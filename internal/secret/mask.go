package secret

import (
	"cmp"
	"iter"
	"slices"
	"strings"
)

// maskFrom is how long a secret is that is taken out of texts: shorter ones are
// parts of words.
const maskFrom = 8

// Mask puts stars in the place of the secrets in a text. The longest come first:
// what is left of one that another is a part of would tell the rest.
func Mask(text string, secrets iter.Seq[String]) string {
	ordered := slices.SortedFunc(secrets, func(a, b String) int { return cmp.Compare(len(b.value), len(a.value)) })
	for _, s := range ordered {
		if len(s.value) < maskFrom {
			break
		}
		text = strings.ReplaceAll(text, s.value, s.String())
	}
	return text
}
