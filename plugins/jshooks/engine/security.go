package engine

import (
	"time"

	"github.com/dop251/goja"
	"github.com/golang-jwt/jwt/v5"
	"github.com/pocketbase/pocketbase/tools/security"
)

const maxRandom = 10_000

// securityObject makes $security, which computes and holds no secrets.
func (m *machine) securityObject() {
	o := m.vm.NewObject()
	length := func(a args, i int) int {
		n := a.int(i)
		if n < 0 || n > maxRandom {
			m.throwRange("the random text would be too long")
		}
		return int(n)
	}
	for name, fn := range map[string]func(a args) (any, error){
		"md5":    func(a args) (any, error) { return security.MD5(a.str(0)), nil },
		"sha256": func(a args) (any, error) { return security.SHA256(a.str(0)), nil },
		"sha512": func(a args) (any, error) { return security.SHA512(a.str(0)), nil },
		"hs256":  func(a args) (any, error) { return security.HS256(a.str(0), a.str(1)), nil },
		"hs512":  func(a args) (any, error) { return security.HS512(a.str(0), a.str(1)), nil },
		"equal":  func(a args) (any, error) { return security.Equal(a.str(0), a.str(1)), nil },
		"randomString": func(a args) (any, error) {
			return security.RandomString(length(a, 0)), nil
		},
		"randomStringWithAlphabet": func(a args) (any, error) {
			if a.str(1) == "" {
				m.throwType("the alphabet is empty")
			}
			return security.RandomStringWithAlphabet(length(a, 0), a.str(1)), nil
		},
		"pseudorandomString": func(a args) (any, error) { return security.PseudorandomString(length(a, 0)), nil },
		"pseudorandomStringWithAlphabet": func(a args) (any, error) {
			if a.str(1) == "" {
				m.throwType("the alphabet is empty")
			}
			return security.PseudorandomStringWithAlphabet(length(a, 0), a.str(1)), nil
		},
		"parseUnverifiedJWT": func(a args) (any, error) {
			claims, err := security.ParseUnverifiedJWT(a.str(0))
			return map[string]any(claims), err
		},
		"parseJWT": func(a args) (any, error) {
			claims, err := security.ParseJWT(a.str(0), a.str(1))
			return map[string]any(claims), err
		},
		"createJWT": func(a args) (any, error) {
			return security.NewJWT(jwt.MapClaims(m.mapOf(a.at(0))), a.str(1), time.Duration(a.int(2))*time.Second)
		},
		"encrypt": func(a args) (any, error) { return security.Encrypt([]byte(a.str(0)), a.str(1)) },
		"decrypt": func(a args) (any, error) {
			raw, err := security.Decrypt(a.str(0), a.str(1))
			return string(raw), err
		},
	} {
		m.hidden(o, name, m.native(name, func(call goja.FunctionCall) goja.Value {
			v, err := fn(args{m: m, list: call.Arguments})
			m.check(err)
			return m.toJS(v)
		}))
	}
	m.hidden(o, "randomStringByRegex", m.refusal("$security.randomStringByRegex()", "Use $security.randomStringWithAlphabet()."))
	m.freeze(o)
	m.set("$security", o)
}
