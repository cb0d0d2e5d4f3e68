package engine

import (
	"errors"
	"fmt"
	"strings"

	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/core"
)

// Words that no query of a hook may use, as a keyword or as the name of anything. load_extension is off
// in this SQLite; the functions allocate outside of the Go heap, where no watchdog sees it.
var refusedWords = map[string]bool{
	"attach": true, "detach": true, "pragma": true, "vacuum": true, "insert": true, "update": true, "delete": true,
	"drop": true, "alter": true, "create": true, "reindex": true, "analyze": true, "begin": true, "commit": true,
	"rollback": true, "savepoint": true, "release": true, "load_extension": true, "readfile": true, "writefile": true,
	"edit": true, "fts3_tokenizer": true, "zeroblob": true, "randomblob": true, "printf": true, "format": true,
	"dbstat": true,
}

// checkSQL refuses all that isn't one SELECT over tables of the project. It looks at names, however
// they are quoted, so that it needn't understand the grammar: a text that is the name of a system
// table is refused as well, because SQLite takes text for a name where it finds no other meaning.
//
// The hashes of passwords and the keys of tokens have no other name than their own, unless all columns of users are
// asked for at once: WITH t(a, b, …) AS (SELECT * FROM users) gives them new ones. So where an auth collection is named
// there is no star.
func checkSQL(app core.App, sql string) error { return checkSelect(app, sql, "") }

// checkRecordSQL is checkSQL for a query that PocketBase has begun, whose stars in front are its own.
func checkRecordSQL(app core.App, c *core.Collection, q *dbx.SelectQuery) error {
	return checkSelect(app, q.Build().SQL(), "SELECT `"+c.Name+"`.* FROM ")
}

func checkSelect(app core.App, sql, own string) error {
	if len(sql) > 100_000 {
		return fmt.Errorf("the query is too long")
	}
	if own != "" && strings.HasPrefix(sql, own) {
		sql = "SELECT 1 FROM " + sql[len(own):]
	}
	words, err := sqlWords(sql)
	if err != nil {
		return err
	}
	if len(words) == 0 {
		return fmt.Errorf("the query is empty")
	}
	if first := words[0]; first.quoted || (first.text != "select" && first.text != "with" && first.text != "values") {
		return fmt.Errorf("only SELECT is allowed; change records with $app.save() and $app.delete()")
	}
	star, users := false, false
	for i, w := range words {
		switch {
		case w.text == "*":
			star = star || isStar(words[:i])
		case w.text == ";":
			if i != len(words)-1 {
				return fmt.Errorf("only one statement is allowed")
			}
		case !w.quoted && w.text == "replace" && (i+1 >= len(words) || words[i+1].text != "("):
			return fmt.Errorf("REPLACE isn't allowed in queries of hooks")
		}
		for _, name := range w.names() {
			if !w.literal && secretName(name) {
				return errSecretField
			}
			users = users || isAuth(app, name)
			if !w.literal && refusedWords[name] {
				return fmt.Errorf("%q isn't allowed in queries of hooks", name)
			}
			if strings.HasPrefix(name, "_") && len(name) > 1 || strings.HasPrefix(name, "sqlite_") || strings.HasPrefix(name, "pragma_") {
				return fmt.Errorf("%q: %w", name, errSystem)
			}
		}
	}
	if star && users {
		return errors.New("a star would show secrets of users; name the columns that you need")
	}
	return nil
}

// isStar reports whether a star that follows these words means all columns, and is neither a product nor count(*).
func isStar(before []word) bool {
	if len(before) == 0 {
		return true
	}
	switch last := before[len(before)-1]; {
	case last.quoted:
		return false
	case last.text == "(":
		return len(before) < 2 || before[len(before)-2].text != "count"
	default:
		return last.text == "," || last.text == "." || last.text == "select" || last.text == "distinct" || last.text == "all"
	}
}

// isAuth reports whether a name means an auth collection.
func isAuth(app core.App, name string) bool {
	c, err := app.FindCachedCollectionByNameOrId(name)
	return err == nil && c.IsAuth()
}

// names are what a word may mean to SQLite, after dbx has made quotes of [[table.column]].
func (w word) names() []string {
	name := strings.Trim(w.text, "[]{}`\" ")
	if w.literal {
		return []string{name}
	}
	return append(strings.Split(name, "."), name)
}

type word struct {
	text    string // in lower case, without quotes
	quoted  bool
	literal bool // in single quotes
}

// sqlWords splits a query into names, texts and the signs that matter.
func sqlWords(sql string) (words []word, err error) {
	for i := 0; i < len(sql); {
		c := sql[i]
		switch {
		case c == 0:
			return nil, fmt.Errorf("the query holds a zero byte")
		case strings.HasPrefix(sql[i:], "--"):
			// Without its end a comment would join the query with what is added later.
			end := strings.IndexByte(sql[i:], '\n')
			if end < 0 {
				return nil, fmt.Errorf("the query ends in a comment")
			}
			i += end + 1
		case strings.HasPrefix(sql[i:], "/*"):
			end := strings.Index(sql[i+2:], "*/")
			if end < 0 {
				return nil, fmt.Errorf("the query ends in a comment")
			}
			i += end + 4
		case c == '\'' || c == '"' || c == '`' || c == '[':
			closing := c
			if c == '[' {
				closing = ']'
			}
			var b strings.Builder
			for i++; ; i++ {
				if i >= len(sql) {
					return nil, fmt.Errorf("the query has an open quote")
				}
				if sql[i] == closing {
					if closing != ']' && i+1 < len(sql) && sql[i+1] == closing {
						i++
					} else {
						break
					}
				}
				b.WriteByte(sql[i])
			}
			i++
			words = append(words, word{text: strings.ToLower(b.String()), quoted: true, literal: c == '\''})
		case isNameByte(c):
			start := i
			for i < len(sql) && isNameByte(sql[i]) {
				i++
			}
			words = append(words, word{text: strings.ToLower(sql[start:i])})
		case c == '{':
			// dbx quotes {{table}} and leaves {:param}.
			if strings.HasPrefix(sql[i:], "{:") {
				end := strings.IndexByte(sql[i:], '}')
				if end < 0 {
					return nil, fmt.Errorf("the query has an open parameter")
				}
				i += end + 1
				continue
			}
			i++
		default:
			if strings.IndexByte(";(),.*", c) >= 0 {
				words = append(words, word{text: string(c)})
			}
			i++
		}
	}
	return words, nil
}

func isNameByte(c byte) bool {
	return c == '_' || c == '$' || c >= 0x80 || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
