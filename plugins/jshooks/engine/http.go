package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"time"

	"github.com/dop251/goja"
	"github.com/pocketbase/pocketbase/tools/filesystem"
)

type refuseTransport struct{}

func (refuseTransport) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("this server doesn't let hooks send requests")
}

// httpObject makes $http.
func (m *machine) httpObject() {
	o := m.vm.NewObject()
	m.hidden(o, "send", m.native("send", func(call goja.FunctionCall) goja.Value {
		c := m.inHandler("$http.send()")
		result, err := m.send(c, m.mapOf(call.Argument(0)))
		if m.stop.Load() {
			m.interrupted()
		}
		m.check(err)
		return m.toJS(result)
	}))
	m.freeze(o)
	m.set("$http", o)
}

// send makes a request. Its time is the hook's: the context ends with the call.
func (m *machine) send(c *call, config map[string]any) (map[string]any, error) {
	text := func(k string) string {
		s, _ := config[k].(string)
		return s
	}
	body, contentType, err := m.requestBody(config)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(c.ctx, 2*time.Minute)
	defer cancel()
	if n, ok := config["timeout"].(int64); ok && n > 0 && n < 120 {
		ctx, cancel = context.WithTimeout(ctx, time.Duration(n)*time.Second)
		defer cancel()
	}
	method := strings.ToUpper(text("method"))
	if method == "" {
		method = http.MethodGet
	}
	req, err := http.NewRequestWithContext(ctx, method, text("url"), body)
	if err != nil {
		return nil, fmt.Errorf("$http.send: %w", err)
	}
	if headers, ok := config["headers"].(map[string]any); ok {
		for k, v := range headers {
			req.Header.Add(k, fmt.Sprint(v))
		}
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	// Each redirect is a request of its own to the transport, which checks where it goes.
	client := &http.Client{Transport: m.engine.cfg.Transport}
	done := c.wait()
	res, err := client.Do(req)
	done()
	if err != nil {
		return nil, fmt.Errorf("$http.send: %w", err)
	}
	defer res.Body.Close()
	limit := m.engine.cfg.MaxResponse
	raw, err := io.ReadAll(io.LimitReader(res.Body, limit+1))
	if err != nil {
		return nil, fmt.Errorf("$http.send: read the response: %w", err)
	}
	if int64(len(raw)) > limit {
		return nil, fmt.Errorf("$http.send: the response is larger than %d bytes", limit)
	}
	cookies := map[string]any{}
	for _, k := range res.Cookies() {
		cookies[k.Name] = map[string]any{"name": k.Name, "value": k.Value, "path": k.Path, "domain": k.Domain}
	}
	var data any
	if decode(raw, &data) != nil {
		data = nil
	}
	return map[string]any{
		"statusCode": res.StatusCode, "headers": map[string][]string(res.Header), "cookies": cookies,
		"raw": string(raw), "body": raw, "json": data,
	}, nil
}

func (m *machine) requestBody(config map[string]any) (io.Reader, string, error) {
	if data, ok := config["data"].(map[string]any); ok && len(data) > 0 {
		raw, err := marshal(data, maxBody)
		return bytes.NewReader(raw), "", err
	}
	switch v := config["body"].(type) {
	case nil:
		return http.NoBody, "", nil
	case string:
		return strings.NewReader(v), "", nil
	case []byte:
		return bytes.NewReader(v), "", nil
	case *form:
		return v.encode()
	default:
		raw, err := marshal(v, maxBody)
		return bytes.NewReader(raw), "", err
	}
}

// form is the body of a multipart request.
type form struct{ parts []part }

type part struct {
	key   string
	value any
}

// partOf is a file, or data.
func partOf(a args) any {
	if f := unwrap(a.at(1)); f != nil && f.class == fileClass {
		return a.field(1)
	}
	return a.value(1)
}

var formClass = new(class)

func init() {
	*formClass = class{
		name: "FormData",
		methods: map[string]method{
			"append": func(m *machine, v any, a args) (any, error) {
				f := v.(*form)
				if len(f.parts) >= 1000 {
					m.throwRange("the form has too many parts")
				}
				f.parts = append(f.parts, part{a.str(0), partOf(a)})
				return undefined{}, nil
			},
			"set": func(_ *machine, v any, a args) (any, error) {
				f := v.(*form)
				f.remove(a.str(0))
				f.parts = append(f.parts, part{a.str(0), partOf(a)})
				return undefined{}, nil
			},
			"delete": func(_ *machine, v any, a args) (any, error) {
				v.(*form).remove(a.str(0))
				return undefined{}, nil
			},
			"has": func(_ *machine, v any, a args) (any, error) { return len(v.(*form).all(a.str(0))) > 0, nil },
			"get": func(_ *machine, v any, a args) (any, error) {
				if all := v.(*form).all(a.str(0)); len(all) > 0 {
					return all[0], nil
				}
				return nil, nil
			},
			"getAll": func(_ *machine, v any, a args) (any, error) { return v.(*form).all(a.str(0)), nil },
			"keys": func(_ *machine, v any, _ args) (any, error) {
				var keys []any
				for _, p := range v.(*form).parts {
					keys = append(keys, p.key)
				}
				return keys, nil
			},
		},
	}
}

func (f *form) all(key string) []any {
	var list []any
	for _, p := range f.parts {
		if p.key == key {
			list = append(list, p.value)
		}
	}
	return list
}

func (f *form) remove(key string) {
	kept := f.parts[:0]
	for _, p := range f.parts {
		if p.key != key {
			kept = append(kept, p)
		}
	}
	f.parts = kept
}

func (f *form) encode() (io.Reader, string, error) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, p := range f.parts {
		if b.Len() > maxBody {
			return nil, "", errors.New("$http.send: the form is too large")
		}
		file, ok := p.value.(*filesystem.File)
		if !ok {
			if err := w.WriteField(p.key, fmt.Sprint(p.value)); err != nil {
				return nil, "", fmt.Errorf("$http.send: %w", err)
			}
			continue
		}
		if err := copyFile(w, p.key, file); err != nil {
			return nil, "", fmt.Errorf("$http.send: %w", err)
		}
	}
	return &b, w.FormDataContentType(), w.Close()
}

func copyFile(w *multipart.Writer, key string, file *filesystem.File) error {
	to, err := w.CreateFormFile(key, file.OriginalName)
	if err != nil {
		return err
	}
	from, err := file.Reader.Open()
	if err != nil {
		return err
	}
	defer from.Close()
	_, err = io.Copy(to, io.LimitReader(from, maxBody))
	return err
}
