// Package event is the one typed form of what happened to a user or a record,
// as it is told to the outside: its type, its moment, its data, and the body
// that goes over the wire.
//
// It does not know who makes events or who wants them: package hooks makes them
// of PocketBase's, plugins/webhooks delivers them.
//
//	e := event.New("user.created", "users", record.Id, data, time.Now())
//	body, err := e.Body() // {"type":"user.created","timestamp":"…","data":{…}}
package event

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// The types of events. A record event is of any collection, a user event of one
// with sign-in.
const (
	UserCreated                = "user.created"
	UserUpdated                = "user.updated"
	UserDeleted                = "user.deleted"
	UserSignedIn               = "user.signed_in"
	UserSignedOut              = "user.signed_out"
	UserPasswordResetRequested = "user.password_reset_requested"
	UserPasswordReset          = "user.password_reset"
	UserVerificationRequested  = "user.verification_requested"
	UserVerified               = "user.verified"
	UserEmailChangeRequested   = "user.email_change_requested"
	UserEmailChanged           = "user.email_changed"
	UserOTPRequested           = "user.otp_requested"
	RecordCreated              = "record.created"
	RecordUpdated              = "record.updated"
	RecordDeleted              = "record.deleted"
)

// The types of questions that are asked before something happens.
const (
	BeforeUserCreated  = "before user.created"
	BeforeUserSignedIn = "before user.signed_in"
)

// Types lists the types of all events.
func Types() []string {
	return []string{
		UserCreated, UserUpdated, UserDeleted, UserSignedIn, UserSignedOut, UserPasswordResetRequested, UserPasswordReset,
		UserVerificationRequested, UserVerified, UserEmailChangeRequested, UserEmailChanged, UserOTPRequested,
		RecordCreated, RecordUpdated, RecordDeleted,
	}
}

// Questions lists the types that are asked before something happens.
func Questions() []string { return []string{BeforeUserCreated, BeforeUserSignedIn} }

// MaxBody is the largest body in bytes, as Standard Webhooks recommends.
const MaxBody = 20_000

// Names of members of the data.
const (
	dataRecord    = "record"
	dataTruncated = "truncated"
)

// Event is one thing that happened.
type Event struct {
	// ID names the event wherever it is delivered, however often.
	ID string

	// Type is what happened, one of the constants.
	Type string

	// At is when it happened.
	At time.Time

	// Collection is the name of the record's collection.
	Collection string

	// Subject is whom it happened to: events of one subject keep their order.
	Subject string

	// Data is what there is to tell. Its member "record" holds the record's
	// fields. It is not changed any more.
	Data map[string]any
}

// New returns an event about a record, with an id of its own. The collection's
// name is put into data.
func New(eventType, collection, recordID string, data map[string]any, at time.Time) Event {
	data = maps.Clone(data)
	if data == nil {
		data = map[string]any{}
	}
	data["collection"] = collection
	return Event{
		ID: NewID(), Type: eventType, At: at.UTC(),
		Collection: collection, Subject: collection + "/" + recordID, Data: data,
	}
}

// NewID returns an id for an event: ids sort by time, and have no dot, which
// would end them in a signature.
func NewID() string { return "msg_" + strings.ReplaceAll(uuid.Must(uuid.NewV7()).String(), "-", "") }

// Body returns the JSON that is sent. Of a record too large for it the largest
// fields are left out, and named in the data's member "truncated"; "*" stands for
// all but the id.
func (e Event) Body() ([]byte, error) {
	body, err := e.encode(e.Data)
	if err != nil || len(body) <= MaxBody {
		return body, err
	}
	record, _ := e.Data[dataRecord].(map[string]any)
	fields, err := sizes(record)
	if err != nil {
		return nil, err
	}
	data, left := maps.Clone(e.Data), maps.Clone(record)
	dropped := []string{}
	for _, field := range fields {
		delete(left, field.name)
		dropped = append(dropped, field.name)
		data[dataRecord], data[dataTruncated] = left, dropped
		if body, err = e.encode(data); err != nil || len(body) <= MaxBody {
			return body, err
		}
	}
	// Hundreds of fields: even their names are too much. A body that cannot be
	// made would undo what it is about.
	return e.encode(map[string]any{
		"collection": e.Collection, dataRecord: map[string]any{"id": record["id"]}, dataTruncated: []string{"*"},
	})
}

func (e Event) encode(data map[string]any) ([]byte, error) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(struct {
		Type      string         `json:"type"`
		Timestamp string         `json:"timestamp"`
		Data      map[string]any `json:"data"`
	}{e.Type, e.At.Format("2006-01-02T15:04:05.000Z"), data})
	return bytes.TrimSuffix(buffer.Bytes(), []byte("\n")), err
}

type fieldSize struct {
	name string
	size int
}

// sizes returns the fields of a record that may be left out, the largest first.
func sizes(record map[string]any) (fields []fieldSize, err error) {
	for name, value := range record {
		if name == "id" {
			continue
		}
		encoded, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		fields = append(fields, fieldSize{name, len(encoded)})
	}
	slices.SortFunc(fields, func(a, b fieldSize) int {
		return cmp.Or(cmp.Compare(b.size, a.size), cmp.Compare(a.name, b.name))
	})
	return fields, nil
}
