package outbox

import (
	"errors"
	"strings"
	"testing"
	"time"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
)

func TestEventThatDoesNotFitIsRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	organization := id.NewOrganization()
	tell := func(size int, personal bool) error {
		message := &eventv1.OrganizationDeleted{Before: &eventv1.Organization{DisplayName: strings.Repeat("x", size)}}
		if !personal {
			return b.db.InTx(t.Context(), postgres.In(organization), func(tx *postgres.Tx) error {
				return Publish(tx, organization, time.Now(), message)
			})
		}
		_, err := NewEvent(organization, time.Now(), &eventv1.MemberAdded{Personal: &eventv1.Personal{DisplayName: strings.Repeat("x", size)}})
		return err
	}
	for _, personal := range []bool{false, true} {
		if err := tell(maxSize, personal); !errors.Is(err, ErrTooLarge) {
			t.Errorf("got %v, want ErrTooLarge", err)
		}
	}
	if b.waiting(t) != 0 {
		t.Error("something was committed")
	}
	if err := tell(maxSize-len(`{"before":{"displayName":""}}`), false); err != nil {
		t.Fatal(err)
	}
	run(t, b.relay(t).Run)
	b.drained(t) // the largest that is taken fits into a message
	inOrder(t, published(t, b.js), 1)
}
