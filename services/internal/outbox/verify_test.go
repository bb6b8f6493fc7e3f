package outbox

import (
	"bytes"
	"slices"
	"testing"
	"time"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/testkit"
)

// What SQL chained, Go verifies, and every kind of tampering breaks the chain.
func TestVerify(t *testing.T) {
	t.Parallel()
	dsns := testkit.Database(t, "membership", nil)
	db := dsns.Open(t, postgres.Options{})
	organization, other := id.NewOrganization(), id.NewOrganization()
	b := &bench{dsns: dsns, db: db}
	for range 3 {
		b.publish(t, organization, other)
	}
	err := db.InTx(t.Context(), postgres.In(organization), func(tx *postgres.Tx) error { // two in one transaction
		for range 2 {
			if err := Publish(tx, organization, time.Now(), &eventv1.SeatAtLimit{}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	log, foreign := b.log(t, organization), b.log(t, other)
	if len(log) != 5 || len(foreign) != 3 {
		t.Fatalf("%d and %d entries, want 5 and 3", len(log), len(foreign))
	}
	for name, intact := range map[string]func([]Entry) []Entry{
		"all":       func(l []Entry) []Entry { return l },
		"none":      func([]Entry) []Entry { return nil },
		"a page":    func(l []Entry) []Entry { return l[2:4] },
		"an erased": func(l []Entry) []Entry { l[1].Personal, l[1].PersonalSalt = nil, nil; return l },
	} {
		if err := Verify(intact(slices.Clone(log))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, tamper := range map[string]func([]Entry) []Entry{
		"edited data":     func(l []Entry) []Entry { l[1].Data = []byte(`{"x":1}`); return l },
		"edited type":     func(l []Entry) []Entry { l[1].Type = "member.removed"; return l },
		"edited time":     func(l []Entry) []Entry { l[1].Time = l[1].Time.Add(time.Microsecond); return l },
		"edited id":       func(l []Entry) []Entry { l[1].ID = id.NewEvent(); return l },
		"edited personal": func(l []Entry) []Entry { l[1].Personal = []byte(`{"displayName":"Bob"}`); return l },
		"invented personal": func(l []Entry) []Entry {
			l[4].Personal, l[4].PersonalSalt = []byte(`{}`), []byte("salt")
			l[4].PersonalHash = hashPersonal(l[4].PersonalSalt, l[4].Personal)
			return l
		},
		"short hash of personal": func(l []Entry) []Entry { l[1].Personal, l[1].PersonalHash = nil, nil; return l },
		"edited and hashed": func(l []Entry) []Entry {
			l[1].Data = []byte(`{}`)
			l[1].Type = "member.left"
			l[1].Hash = l[1].chainHash()
			return l
		},
		"edited end":  func(l []Entry) []Entry { l[4].Data = []byte(`{"x":1}`); return l },
		"cut":         func(l []Entry) []Entry { return slices.Delete(l, 2, 3) },
		"reordered":   func(l []Entry) []Entry { l[2], l[3] = l[3], l[2]; return l },
		"inserted":    func(l []Entry) []Entry { return slices.Insert(l, 2, foreign[2]) },
		"renumbered":  func(l []Entry) []Entry { l = slices.Delete(l, 2, 3); l[2].Revision, l[3].Revision = 3, 4; return l },
		"transplant":  func(l []Entry) []Entry { l[0].Aggregate = foreign[0].Aggregate; return l[:1] },
		"new history": func(l []Entry) []Entry { l[0].PrevHash = bytes.Repeat([]byte{1}, 32); return l },
	} {
		if err := Verify(tamper(slices.Clone(log))); err == nil {
			t.Errorf("%s: not noticed", name)
		}
	}
}
