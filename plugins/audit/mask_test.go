package audit

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestIsSecret(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"password", "Password", "smtpPassword", "passwordConfirm", "secret", "secrets", "clientSecret", "client_secret",
		"CLIENT-SECRET", "token", "tokenKey", "token_key", "hash", "key_hash", "passwordHash", "accessKey", "accesskey", "privateKey",
		"APIKey", "apiKey", "S3Secret", "signingKey", "credentials"} {
		if !isSecret(name) {
			t.Errorf("%s is shown", name)
		}
	}
	for _, name := range []string{"", "name", "key", "keys", "apiKeys", "publicKey", "perKey", "tokenURL", "tokenDuration", "secretary",
		"hashtag", "passwordAuthEnabled", "prefix", "lastFour", "keyboard"} {
		if isSecret(name) {
			t.Errorf("%s is hidden", name)
		}
	}
}

func TestDiffAndMask(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, before, after, wantBefore, wantAfter string }{
		{"equal", `{"a":1,"b":[1,{"c":2}]}`, `{"b":[1,{"c":2}],"a":1}`, "", ""},
		{"nested", `{"a":{"x":1,"y":2},"b":3}`, `{"a":{"x":1,"y":5},"b":3}`, `{"a":{"y":2}}`, `{"a":{"y":5}}`},
		{"added and removed", `{"a":1}`, `{"b":null}`, `{"a":1}`, `{"b":null}`},
		{"plain array", `{"a":[1,2]}`, `{"a":[2,1]}`, `{"a":[1,2]}`, `{"a":[2,1]}`},
		{
			"by id", `{"f":[{"id":"1","name":"a","max":1},{"id":"2","name":"b"}]}`, `{"f":[{"id":"1","name":"a","max":2},{"id":"3","name":"c"}]}`,
			`{"f":{"1":{"max":1,"name":"a"},"2":{"id":"2","name":"b"}}}`, `{"f":{"1":{"max":2,"name":"a"},"3":{"id":"3","name":"c"}}}`,
		},
		{"renamed", `{"f":[{"id":"1","name":"a"}]}`, `{"f":[{"id":"1","name":"b"}]}`, `{"f":{"1":{"name":"a"}}}`, `{"f":{"1":{"name":"b"}}}`},
		{"order", `{"f":[{"id":"1"},{"id":"2"}]}`, `{"f":[{"id":"2"},{"id":"1"}]}`, `{"f":["1","2"]}`, `{"f":["2","1"]}`},
		{"secret set", `{"secret":""}`, `{"secret":"x"}`, `{"secret":""}`, `{"secret":"******"}`},
		{"secret changed", `{"secret":"y"}`, `{"secret":"x"}`, `{"secret":"******"}`, `{"secret":"****** (changed)"}`},
		{"secret removed", `{"secret":"y"}`, `{"secret":""}`, `{"secret":"******"}`, `{"secret":""}`},
		{
			"by name", `{"p":[{"name":"google","clientSecret":"a"}]}`, `{"p":[{"name":"google","clientSecret":"b"}]}`,
			`{"p":{"google":{"clientSecret":"******","name":"google"}}}`, `{"p":{"google":{"clientSecret":"****** (changed)","name":"google"}}}`,
		},
		{
			"within an array", `{"p":[{"v":1,"token":"a"},{"token":"b"}]}`, `{"p":[{"v":2,"token":"a"},{"token":"c"}]}`,
			`{"p":[{"token":"******","v":1},{"token":"******"}]}`, `{"p":[{"token":"******","v":2},{"token":"****** (changed)"}]}`,
		},
		{"object about a secret", `{"authToken":{"duration":1}}`, `{"authToken":{"duration":2}}`, `{"authToken":{"duration":1}}`, `{"authToken":{"duration":2}}`},
		{"object of secrets", `{"secrets":{"a":"1"}}`, `{"secrets":null}`, `{"secrets":"******"}`, `{"secrets":null}`},
		{"template", `{"resetPasswordTemplate":{"body":"a"}}`, `{"resetPasswordTemplate":{"body":"b"}}`, `{"resetPasswordTemplate":{"body":"a"}}`, `{"resetPasswordTemplate":{"body":"b"}}`},
		{"big numbers", `{"a":9007199254740993}`, `{"a":9007199254740992}`, `{"a":9007199254740993}`, `{"a":9007199254740992}`},
	} {
		before, after, differ := diff(must(decodeJSON([]byte(test.before))), must(decodeJSON([]byte(test.after))))
		if differ != (test.wantAfter != "") {
			t.Errorf("%s: differ is %v", test.name, differ)
		}
		if !differ {
			continue
		}
		before, after = mask(before, after)
		gotBefore, gotAfter := string(must(json.Marshal(before))), string(must(json.Marshal(after)))
		if gotBefore != test.wantBefore || gotAfter != test.wantAfter {
			t.Errorf("%s:\n got %s → %s\nwant %s → %s", test.name, gotBefore, gotAfter, test.wantBefore, test.wantAfter)
		}
	}
}

func TestLongTextsAreCut(t *testing.T) {
	t.Parallel()
	_, after := mask(nil, map[string]any{"body": strings.Repeat("é", maxText)})
	body := after.(map[string]any)["body"].(string)
	if len(body) > maxText+100 || !strings.HasSuffix(body, "… (cut from 32768 bytes)") || !strings.HasPrefix(body, "éé") {
		t.Fatalf("%d bytes, ends %q", len(body), body[len(body)-40:])
	}
}
