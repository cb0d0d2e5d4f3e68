package backups

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/picobase/picobase/internal/scope"
	"github.com/picobase/picobase/plugins/backups/restore"
	"github.com/picobase/picobase/plugins/backups/snapshots"
	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/hook"
	"github.com/pocketbase/pocketbase/tools/router"
)

// maxWait is how long a request waits for a snapshot before it is answered that
// it is being made: proxies give up on an answer after a minute.
const maxWait = 50 * time.Second

// Routes binds the middlewares and /api/v1/backups.
func (p *Plugin) Routes(r *router.Router[*core.RequestEvent]) {
	r.Bind(&hook.Handler[*core.RequestEvent]{Id: "picoReplicaGate", Priority: p.cfg.GatePriority, Func: p.gate})
	r.Bind(&hook.Handler[*core.RequestEvent]{Id: "picoBackupsPage", Priority: p.cfg.DashboardPriority, Func: p.page})
	if p.files != nil {
		p.files.Routes(r)
	}
	g := r.Group(httpapi.PathPrefix + "/backups")
	g.Bind(httpapi.Require(scope.Backups))
	g.GET("", p.list)
	g.POST("", p.post)
	g.GET("/pitr", p.window)
	g.POST("/pitr", p.rewind)
	g.POST("/drill", p.runDrill)
	g.GET("/{id}", p.get)
	g.PUT("/{id}", p.upload).Bind(apis.BodyLimit(0))
	g.DELETE("/{id}", p.delete)
	g.GET("/{id}/download", p.download)
	g.POST("/{id}/verify", p.verify)
	g.POST("/{id}/restore", p.restoreSnapshot)
}

// gate refuses writes once they would be lost: another server has the replica.
func (p *Plugin) gate(e *core.RequestEvent) error {
	switch e.Request.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return e.Next()
	}
	if p.replica.Lost() {
		return httpapi.Error(errTakenOver)
	}
	return e.Next()
}

func (p *Plugin) list(e *core.RequestEvent) error {
	items, err := p.vault.List(e.Request.Context())
	if err != nil {
		return failure(err)
	}
	drill, err := p.lastDrill(e.Request.Context())
	if err != nil {
		return failure(err)
	}
	if items == nil {
		items = []snapshots.Snapshot{}
	}
	return e.JSON(http.StatusOK, map[string]any{"items": items, "drill": drill})
}

// post makes a snapshot. It goes on if the client hangs up.
func (p *Plugin) post(e *core.RequestEvent) error {
	var body struct {
		Label string     `json:"label"`
		Name  string     `json:"name"`
		At    *time.Time `json:"at"`
	}
	if e.Request.ContentLength != 0 {
		if err := httpapi.Decode(e, &body); err != nil {
			return err
		}
	}
	if len(body.Label) > 200 {
		return httpapi.Error(apierr.Invalid("label", "must have at most 200 bytes."))
	}
	w := createWish{label: body.Label, name: body.Name}
	if body.At != nil {
		if err := notFuture(*body.At); err != nil {
			return err
		}
		w.at = *body.At
	}
	type outcome struct {
		snapshot snapshots.Snapshot
		err      error
	}
	made := make(chan outcome, 1)
	begun := make(chan snapshots.Snapshot, 1)
	w.begun = func(s snapshots.Snapshot) { begun <- s }
	p.goBack(func(ctx context.Context) {
		snapshot, err := p.create(ctx, w)
		if err == nil {
			err = p.cfg.Record(e, "backup.created", snapshot.ID)
		}
		if isInternal(createFailure(err)) {
			p.logger().Error("make a snapshot", "error", err)
		}
		made <- outcome{snapshot, err}
	})
	answer := func(o outcome) error {
		if o.err != nil {
			return createFailure(o.err)
		}
		return e.JSON(http.StatusCreated, o.snapshot)
	}
	select {
	case o := <-made:
		return answer(o)
	case <-time.After(maxWait):
	}
	select {
	case o := <-made:
		return answer(o)
	case s := <-begun:
		return e.JSON(http.StatusAccepted, s)
	}
}

func createFailure(err error) error {
	own := failure(err)
	if isInternal(own) {
		return httpapi.Error(errFailed.WithCause(err))
	}
	return own
}

// isInternal reports whether an error of the API is no fault of the client.
func isInternal(err error) bool {
	var native *router.ApiError
	return errors.As(err, &native) && native.Status == http.StatusInternalServerError
}

func notFuture(at time.Time) error {
	if at.IsZero() {
		return httpapi.Error(apierr.Invalid("at", "must be a moment such as 2026-11-23T10:15:00Z."))
	}
	if at.After(time.Now()) {
		return httpapi.Error(apierr.Invalid("at", "must not be in the future."))
	}
	return nil
}

func (p *Plugin) get(e *core.RequestEvent) error {
	snapshot, err := p.vault.Get(e.Request.Context(), e.Request.PathValue("id"))
	if err != nil {
		return failure(err)
	}
	return e.JSON(http.StatusOK, snapshot)
}

// upload takes a backup from elsewhere. Restored, it could bring superusers of
// its own, so that keys may not do it.
func (p *Plugin) upload(e *core.RequestEvent) error {
	if !httpapi.CallerOf(e).IsOwner() {
		return httpapi.Error(errOwnersOnly)
	}
	snapshot, err := p.vault.Upload(e.Request.Context(), e.Request.PathValue("id"), e.Request.Body)
	if err != nil {
		return failure(err)
	}
	return e.JSON(http.StatusCreated, snapshot)
}

func (p *Plugin) delete(e *core.RequestEvent) error {
	if err := p.vault.Delete(e.Request.Context(), e.Request.PathValue("id")); err != nil {
		return failure(err)
	}
	return e.NoContent(http.StatusNoContent)
}

func (p *Plugin) download(e *core.RequestEvent) error { return p.send(e, e.Request.PathValue("id")) }

// send answers with a snapshot's zip, or with the range of it that is asked for.
func (p *Plugin) send(e *core.RequestEvent, id string) error {
	ctx := e.Request.Context()
	snapshot, err := p.vault.Get(ctx, id)
	if err != nil {
		return failure(err)
	}
	if snapshot.Status == snapshots.Creating || snapshot.Size == 0 {
		return failure(snapshots.ErrBusy)
	}
	header := e.Response.Header()
	header.Set("Content-Type", "application/zip")
	header.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": id}))
	header.Set("Cache-Control", "no-store")
	if snapshot.SHA256 != "" {
		header.Set("ETag", `"`+snapshot.SHA256+`"`)
	}
	content := &zipReader{ctx: ctx, vault: p.vault, id: id, size: snapshot.Size}
	defer content.Close()
	http.ServeContent(e.Response, e.Request, "", snapshot.Created, content)
	return nil
}

// zipReader reads a snapshot's zip from wherever it is told to seek.
type zipReader struct {
	ctx    context.Context
	vault  *snapshots.Vault
	id     string
	size   int64
	offset int64
	body   io.ReadCloser
}

func (z *zipReader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += z.offset
	case io.SeekEnd:
		offset += z.size
	}
	if offset < 0 {
		return 0, errors.New("seek before the start")
	}
	if offset != z.offset {
		z.Close()
	}
	z.offset = offset
	return offset, nil
}

func (z *zipReader) Read(p []byte) (int, error) {
	if z.offset >= z.size {
		return 0, io.EOF
	}
	if z.body == nil {
		body, _, err := z.vault.Open(z.ctx, z.id, z.offset, -1)
		if err != nil {
			return 0, err
		}
		z.body = body
	}
	n, err := z.body.Read(p)
	z.offset += int64(n)
	return n, err
}

// Close closes what is open of the zip.
func (z *zipReader) Close() {
	if z.body != nil {
		_ = z.body.Close() // only read from
		z.body = nil
	}
}

func (p *Plugin) verify(e *core.RequestEvent) error {
	snapshot, err := p.vault.Verify(context.WithoutCancel(e.Request.Context()), e.Request.PathValue("id"))
	if err != nil && !errors.Is(err, snapshots.ErrInvalid) {
		return failure(err)
	}
	return e.JSON(http.StatusOK, snapshot) // whose status and error say what was found
}

// window says to which moments the project can be restored, and how the last
// restore went.
func (p *Plugin) window(e *core.RequestEvent) error {
	last, err := p.lastRestore()
	if err != nil {
		return failure(err)
	}
	answer := struct {
		Enabled     bool           `json:"enabled"`
		From        *time.Time     `json:"from"`
		To          *time.Time     `json:"to"`
		LagSeconds  float64        `json:"lagSeconds"`
		LastRestore *restore.Order `json:"lastRestore"`
	}{Enabled: !p.cfg.NoReplication, LastRestore: last}
	if answer.Enabled {
		from, to, err := p.replica.Window(e.Request.Context())
		if err != nil {
			return failure(err)
		}
		if !to.IsZero() {
			answer.From, answer.To = &from, &to
		}
		answer.LagSeconds = p.replica.Status().Lag.Seconds()
	}
	return e.JSON(http.StatusOK, answer)
}

func (p *Plugin) rewind(e *core.RequestEvent) error {
	var body struct {
		At time.Time `json:"at"`
	}
	if err := httpapi.Decode(e, &body); err != nil {
		return err
	}
	if err := notFuture(body.At); err != nil {
		return err
	}
	if p.cfg.NoReplication {
		return httpapi.Error(errReplicationOff)
	}
	// Known before anything is begun, so that a moment out of reach is refused at once.
	if _, err := p.replica.Find(e.Request.Context(), body.At); err != nil {
		return failure(err)
	}
	return p.answerRestore(e, wish{at: body.At}, body.At.UTC().Format(time.RFC3339))
}

func (p *Plugin) restoreSnapshot(e *core.RequestEvent) error {
	id := e.Request.PathValue("id")
	if _, err := p.vault.Get(e.Request.Context(), id); err != nil {
		return failure(err)
	}
	return p.answerRestore(e, wish{snapshot: id}, id)
}

// answerRestore begins a restore and answers: a server goes on in the
// background, a command on a folder waits for it.
func (p *Plugin) answerRestore(e *core.RequestEvent, w wish, target string) error {
	order, err := p.begin(w)
	if err != nil {
		return failure(err)
	}
	// Before, for the entry is carried over into the restored state.
	if err := p.cfg.Record(e, "backup.restored", target); err != nil {
		return failure(err)
	}
	if p.serving.Load() {
		p.goBack(func(ctx context.Context) { _ = p.run(ctx, order) }) // logged, and shown by lastRestore
		return e.JSON(http.StatusAccepted, order)
	}
	if err := p.run(e.Request.Context(), order); err != nil {
		return failure(err)
	}
	done, err := p.lastRestore()
	if err != nil {
		return failure(err)
	}
	done.Status = restore.Done // once the folder is closed, see Finish
	return e.JSON(http.StatusOK, done)
}

func (p *Plugin) runDrill(e *core.RequestEvent) error {
	return e.JSON(http.StatusOK, p.drill(context.WithoutCancel(e.Request.Context())))
}
